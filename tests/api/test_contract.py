"""The API does what its OpenAPI says, whatever is asked: schemathesis with all of its checks, on real rows."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from schemathesis import GenerationMode

from tests.support import pages as make
from webhooks import services

EXAMPLES = 12  # of each operation and kind


@pytest.fixture
def application(db: None) -> Iterator[Any]:
    """Django as a server runs it, on the test's own connection: a request must not close it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield get_wsgi_application()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def contract(application: Any) -> Any:
    make.fill(make.decision_of(make.decided(make.source(), make.market())).orders.get(role="entry"))
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)


@pytest.fixture
def admin(db: None) -> dict[str, str]:
    _, key = services.create_key(name="contract", scope="admin")
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_the_api_keeps_its_contract(contract: Any, admin: dict[str, str], mode: GenerationMode) -> None:
    failures: list[str] = []
    operations = [result.ok() for result in contract.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        try:
            examine(operation, mode, admin)
        except Exception as error:
            failures.append(f"{operation.label}: {error!r} {error}")
    assert failures == []


def examine(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> None:
    """Ask an operation what its description allows, or what it does not, and run all checks on the answers."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        wrong = {place.value for place, part in case.meta.components.items() if part.mode.is_negative}
        case.call_and_validate(headers={} if "header" in wrong else headers)

    try:
        run()
    except hypothesis.errors.Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE, "what has no parameters can't be asked wrongly"
