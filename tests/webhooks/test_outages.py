"""PostgreSQL or Valkey gone: what the sender is told, and that nothing is lost, doubled or half-written."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from celery import Celery
from django.conf import settings
from django.db import connections

from market.services import ensure_instrument
from tests.support.webhooks import SIGNAL, Cable, Gate, committed, make_source, open_gate, post_together
from webhooks.door import database, notifier
from webhooks.door.committer import MAX_WAITING
from webhooks.models import Alert
from webhooks.signals import alert_changed
from webhooks.tasks import work_inbox

__all__ = ["committed"]


@pytest.fixture
def cable(committed: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Cable:
    host = connections["default"].get_connection_params()["host"]
    cable = Cable(tmp_path_factory.mktemp("pg"), Path(host) / ".s.PGSQL.5432")
    plain = database.parameters
    monkeypatch.setattr(database, "parameters", lambda: plain() | {"host": str(cable.folder)})
    return cable


@pytest.fixture
def gate(cable: Cable) -> Iterator[Gate]:
    make_source()
    with open_gate() as gate:
        yield gate
    cable.cut()


@pytest.mark.django_db
def test_a_sweep_finds_nothing_to_do_when_nothing_waits() -> None:
    assert work_inbox() == 0


def test_a_known_source_is_told_503_while_postgresql_is_down(gate: Gate, cable: Cable) -> None:
    assert gate.post(SIGNAL | {"id": 1}).status_code == 202
    cable.cut()
    answer = gate.post(SIGNAL | {"id": 2})
    assert answer.status_code == 503
    assert "not stored" in answer.json()["error"]
    assert answer.headers["retry-after"] == "5"
    assert Alert.objects.count() == 1


def test_an_alert_sent_again_after_the_outage_is_stored_once(gate: Gate, cable: Cable) -> None:
    gate.post(SIGNAL | {"id": 1})
    cable.cut()
    assert gate.post(SIGNAL | {"id": 2}).status_code == 503
    cable.mend()
    assert gate.post(SIGNAL | {"id": 2}).status_code == 202
    assert Alert.objects.count() == 2


def test_a_token_that_cannot_be_checked_is_told_503(gate: Gate, cable: Cable) -> None:
    cable.cut()
    assert gate.post().status_code == 503
    cable.mend()
    time.sleep(0.3)
    assert gate.post().status_code == 202


def test_a_restart_of_postgresql_between_two_alerts_is_not_noticed(gate: Gate, cable: Cable) -> None:
    assert gate.post(SIGNAL | {"id": 1}).status_code == 202
    cable.cut()
    cable.mend()
    assert gate.post(SIGNAL | {"id": 2}).status_code == 202


def test_an_outage_in_the_middle_of_an_insert_leaves_nothing_half_written(gate: Gate, cable: Cable) -> None:
    gate.post(SIGNAL | {"id": 1})
    cable.cut_at = lambda data: b"half-way" in data
    bodies = [json.dumps(SIGNAL | {"id": f"half-way-{number}"}).encode() for number in range(20)]
    answers = asyncio.run(post_together(gate, bodies))
    assert {answer.status_code for answer in answers} == {503}
    assert Alert.objects.count() == 1
    cable.mend()
    assert {answer.status_code for answer in asyncio.run(post_together(gate, bodies))} == {202}
    assert Alert.objects.count() == 21


def test_a_commit_whose_answer_was_lost_is_not_repeated(gate: Gate, cable: Cable) -> None:
    gate.post(SIGNAL | {"id": 1})
    cable.cut_at = lambda data: b"INSERT 0 1" in data
    assert gate.post(SIGNAL | {"id": 2}).status_code == 503
    cable.mend()
    again = gate.post(SIGNAL | {"id": 2})
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert Alert.objects.filter(idempotency_key="id:2").count() == 1


def test_a_door_that_holds_too_many_alerts_refuses_more(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_WAITING >= 1000
    gate.post()
    monkeypatch.setattr("webhooks.door.committer.MAX_WAITING", 0)
    assert gate.post(SIGNAL | {"id": 2}).status_code == 503


@pytest.mark.usefixtures("committed")
def test_without_valkey_an_alert_is_taken_at_once_and_decided_later(monkeypatch: pytest.MonkeyPatch) -> None:
    make_source()
    ensure_instrument("BTCUSDT")
    monkeypatch.setattr(notifier, "app", Celery(broker="redis+socket:///nowhere/valkey.sock"))
    answered, waited = threading.Event(), []
    send = Celery.send_task

    def hang(*args: object, **options: object) -> object:
        waited.append(answered.wait(60))
        return send(*args, **options)

    monkeypatch.setattr(Celery, "send_task", hang)
    alert_notifier = notifier.Notifier()
    with open_gate(alert_notifier) as gate:
        answers = [gate.post(SIGNAL | {"id": number}) for number in (1, 2)]
        assert not any(waited), "an answer waited for the nudge"
        answered.set()
    assert [answer.status_code for answer in answers] == [202, 202]
    assert Alert.objects.filter(state="received").count() == 2
    work_inbox()  # what the sweep does once the queue is back
    assert set(Alert.objects.values_list("state", flat=True)) == {"decided"}


@pytest.mark.usefixtures("committed")
def test_an_alert_nudges_the_agent_through_valkey(valkey: redis.Redis) -> None:
    make_source()
    alert_notifier = notifier.Notifier()
    sent: list[tuple[int, str]] = []

    def listen(alert_id: int, state: str, **_: object) -> None:
        sent.append((alert_id, state))

    alert_changed.connect(listen)
    with open_gate(alert_notifier) as gate, httpx.Client() as client:
        answer = client.post(gate.address(), json=SIGNAL)
        _wait(lambda: valkey.llen("trade") == 1 and sent)
    alert_changed.disconnect(listen)
    assert sent == [(answer.json()["alert"], "received")]
    message = json.loads(valkey.lindex("trade", 0))
    assert message["headers"]["task"] == "webhooks.work_inbox"
    assert settings.REDIS_URL.startswith("unix://")


@pytest.mark.usefixtures("committed")
def test_nudges_go_on_after_valkey_was_away(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    real = notifier.app
    alert_notifier = notifier.Notifier()
    monkeypatch.setattr(notifier, "app", Celery(broker="redis+socket:///nowhere/valkey.sock"))
    alert_notifier(1)
    _wait(lambda: not alert_notifier._wake.is_set())
    monkeypatch.setattr(notifier, "app", real)
    alert_notifier(2)
    _wait(lambda: valkey.llen("trade") == 1)
    alert_notifier.stop()


def _wait(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
