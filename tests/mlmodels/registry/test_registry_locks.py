"""Changes of a champion are whole, one at a time, and announced."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from algotrendy.history.models import Change
from algotrendy.locks import lock_in_transaction
from mlmodels import retention
from mlmodels.models import Artefact, ModelVersion, Promotion
from mlmodels.pipeline.report import Verdict
from mlmodels.registry import artefacts, versions
from mlmodels.registry.versions import CannotPromote
from mlmodels.signals import registry_changed
from tests.support.locks import held_elsewhere, impatient, meeting
from tests.support.training import REAL, a_version

pytestmark = pytest.mark.django_db(transaction=True)
OLD = timedelta(days=400)
VERDICT: Verdict = {
    "outcome": "promote", "text": "it says promote", "attempt": 1, "alpha": 0.03, "against": "",
    "period": None, "rows": 1000, "positives": 200, "checks": [],
}  # fmt: skip


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def with_artefact(name: str) -> ModelVersion:
    version = a_version(name)
    Artefact.objects.create(
        version=version, format=artefacts.FORMAT, data=b"x", digest=b"y", libraries={}, golden={}
    )
    return version


def apply(version: ModelVersion) -> bool:
    return versions.apply_verdict(version=version, verdict=VERDICT, compared_with=versions.champion(REAL.slug))


@pytest.fixture
def three() -> list[ModelVersion]:
    """A former champion, the champion, and a version that was never one."""
    first, second, third = (with_artefact(f"2025010{day}_000000") for day in (1, 2, 3))
    assert apply(first)
    assert apply(second)
    return [first, second, third]


CHANGES: dict[str, Callable[[list[ModelVersion]], object]] = {
    "a verdict": lambda three: apply(three[2]),
    "a promotion": lambda three: versions.promote(version=three[2], by=None, reason="better"),
    "a way back": lambda three: versions.roll_back(family=REAL.slug, by=None, reason=""),
    "an end": lambda three: versions.retire(version=three[1], by=None, reason="odd"),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def facts() -> list[Any]:
    states = list(ModelVersion.objects.order_by("pk").values_list("name", "state"))
    return [*states, Promotion.objects.count(), Change.objects.count()]


@every_change
def test_a_crash_before_a_change_is_recorded_leaves_the_champion_that_was(
    three: list[ModelVersion], change: Callable[[list[ModelVersion]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts()
    with monkeypatch.context() as patch:
        patch.setattr(Promotion.objects, "create", kill)
        with pytest.raises(Killed):
            change(three)
    assert facts() == before


@every_change
def test_a_change_waits_for_another_of_its_family(
    three: list[ModelVersion], change: Callable[[list[ModelVersion]], object]
) -> None:
    before = facts()
    with (
        held_elsewhere(lambda: lock_in_transaction(f"mlmodels.{REAL.slug}")),
        impatient(),
        pytest.raises(OperationalError),
    ):
        change(three)
    assert facts() == before


def test_a_version_whose_artefact_is_being_deleted_does_not_become_a_champion_without_one(
    three: list[ModelVersion],
) -> None:
    ModelVersion.objects.filter(pk=three[2].pk).update(state="rejected", created_at=timezone.now() - OLD)
    with pytest.raises(CannotPromote, match="no stored model"):
        meeting(lambda: retention.delete_artefacts({}), lambda: CHANGES["a promotion"](three))
    assert versions.champion(REAL.slug) == three[1]


@pytest.fixture
def announced() -> Iterator[list[str]]:
    seen: list[str] = []

    def receive(family: str, **_: object) -> None:
        seen.append(family)

    registry_changed.connect(receive)
    yield seen
    registry_changed.disconnect(receive)


@every_change
def test_a_change_is_announced(
    three: list[ModelVersion], announced: list[str], change: Callable[[list[ModelVersion]], object]
) -> None:
    announced.clear()
    change(three)
    assert set(announced) == {REAL.slug}


def test_who_is_champion_is_not_promoted_and_who_is_not_is_not_taken_out(three: list[ModelVersion]) -> None:
    before = facts()
    with pytest.raises(CannotPromote, match="champion already"):
        versions.promote(version=three[1], by=None, reason="again")
    with pytest.raises(CannotPromote, match="is not champion"):
        versions.retire(version=three[2], by=None, reason="odd")
    assert facts() == before


def test_the_count_of_a_family_without_looks_begins_nowhere() -> None:
    assert versions.count_began(REAL.slug, timezone.now()) is None
    assert versions.attempts(REAL.slug) == 0
