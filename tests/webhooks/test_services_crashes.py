"""A change of a source, a key or an alert is there with its note in the history, or not at all."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from algotrendy.history.models import Change
from algotrendy.locks import lock_in_transaction
from brokers.models import Connection
from tests.support.locks import held_elsewhere, impatient, until_somebody_waits
from tests.support.webhooks import make_source
from webhooks import services
from webhooks.models import ADD_ALERTS_LOCK, Alert, ApiKey, Source
from webhooks.signals import alert_changed

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def rows() -> list[Any]:
    """All that these services write."""
    tables = (Connection, Source, ApiKey, Alert, Change)
    return [row for table in tables for row in table.objects.order_by("pk").values()]


def an_alert(source: Source) -> Alert:
    return Alert.objects.create(source=source, body=b"{}", idempotency_key="k", received_at=timezone.now())


def a_key() -> ApiKey:
    return ApiKey.objects.create(name="script", key_hash="h", key_hint="t", scope="read")


CHANGES: dict[str, Callable[[Source], object]] = {
    "a source": lambda source: services.create_source(name="new", connection=source.connection),
    "settings": lambda source: services.update_source(source=source, risk_pct=3),
    "a token": lambda source: services.rotate_token(source=source),
    "a secret": lambda source: services.set_body_secret(source=source, secret="s" * 20),
    "a revocation": lambda source: services.revoke(source=source),
    "a key": lambda source: services.create_key(name="new"),
    "a replay": lambda source: services.replay_alert(alert=Alert.objects.get()),
    "a test": lambda source: services.send_test(source=source, symbol="BTCUSDT", action="buy"),
    "a key's end": lambda source: services.revoke_key(key=ApiKey.objects.get()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_crash_before_the_note_leaves_nothing_changed(
    change: Callable[[Source], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algotrendy.events.nudge", lambda *_: True)
    source = make_source()
    an_alert(source)
    a_key()
    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(services, "note", kill)
        with pytest.raises(Killed):
            change(source)
    assert rows() == before
    change(Source.objects.get(pk=source.pk))
    assert len(rows()) > len(before)


def test_a_crash_while_the_demo_is_made_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "create_source", kill)
    with pytest.raises(Killed):
        services.create_demo_source()
    assert not Connection.objects.exists()


def test_the_demo_is_made_once() -> None:
    first, again = services.create_demo_source(), services.create_demo_source()
    assert first == again
    assert Source.objects.count() == 1


def while_another_changes(changes: dict[str, Any], job: Callable[[], object]) -> None:
    """Run `job` so that it meets a change of all sources that is not committed yet, and commit that."""

    def run() -> None:
        try:
            job()
        finally:
            connections.close_all()

    with held_elsewhere(lambda: Source.objects.update(**changes)) as end:
        thread = threading.Thread(target=run)
        thread.start()
        until_somebody_waits()
        end()
        thread.join(60)


def test_the_history_says_from_which_setting_a_source_really_came() -> None:
    source = make_source(risk_pct=1)
    while_another_changes({"risk_pct": 2}, lambda: services.update_source(source=source, risk_pct=3))
    assert Change.objects.get().text.endswith("2 → 3")


def test_of_two_new_tokens_at_once_the_first_goes_on_for_its_grace() -> None:
    source = make_source()
    while_another_changes({"token_hash": "first"}, lambda: services.rotate_token(source=source))
    assert Source.objects.get().previous_token_hash == "first"


def test_nothing_is_noted_where_nothing_changes() -> None:
    source, key = make_source(risk_pct=1), a_key()
    services.update_source(source=source, risk_pct=1)
    for _ in range(2):
        services.revoke(source=source)
        services.revoke_key(key=key)
    assert Change.objects.count() == 2


def test_an_alert_of_ours_waits_for_the_door_that_adds() -> None:
    source = make_source()
    adding = held_elsewhere(lambda: lock_in_transaction(ADD_ALERTS_LOCK))
    with adding, impatient(), pytest.raises(OperationalError):
        services.send_test(source=source, symbol="BTCUSDT", action="buy")
    assert not Alert.objects.exists()


def test_an_alert_of_ours_is_announced_and_nudges_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    nudged: list[str] = []
    announced: list[tuple[int, str]] = []

    def receive(alert_id: int, state: str, **_: object) -> None:
        announced.append((alert_id, state))

    monkeypatch.setattr("algotrendy.events.nudge", lambda task: nudged.append(task))
    alert_changed.connect(receive)
    try:
        alert = services.send_test(source=make_source(), symbol="BTCUSDT", action="buy")
    finally:
        alert_changed.disconnect(receive)
    assert (nudged, announced) == (["webhooks.work_inbox"], [(alert.pk, "received")])


def test_the_grace_of_an_old_token_ends_with_its_time() -> None:
    make_source(previous_token_hash="old", previous_until=timezone.now() + timedelta(hours=1))
    assert services.forget_old_tokens() == 0
    assert services.forget_old_tokens(timezone.now() + timedelta(hours=2)) == 1
    assert Source.objects.get().previous_token_hash == ""
