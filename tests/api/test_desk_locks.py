"""The desk's state by API while somebody else changes it, and while orders are on their way."""

import json
import threading
from collections.abc import Mapping

import pytest
from django.db import connections
from django.test import Client

from brokers import desk_state
from brokers.models import Connection, Desk, Position
from tests.support.brokers import make_instrument
from tests.support.locks import held_elsewhere, until_somebody_waits
from webhooks import services

pytestmark = pytest.mark.django_db(transaction=True)


def ask(scope: str, **body: object) -> tuple[int, Mapping[str, object]]:
    """Change the desk with a key of `scope`; return the answer's status and body."""
    _, key = services.create_key(name=f"{scope} key", scope=scope)
    headers = {"Authorization": f"Bearer {key}"}
    answer = Client().post("/api/v1/desk", json.dumps(body), content_type="application/json", headers=headers)
    return answer.status_code, answer.json()


def test_a_halt_that_is_being_committed_is_not_loosened_by_a_key_that_may_only_trade() -> None:
    answers: list[tuple[int, Mapping[str, object]]] = []

    def loosen() -> None:
        try:
            answers.append(ask("trade", state="reducing"))
        finally:
            connections.close_all()

    Desk.objects.get_or_create(pk=1)
    with held_elsewhere(lambda: Desk.objects.filter(pk=1).update(state="halted", reason="stop")) as end:
        thread = threading.Thread(target=loosen)
        thread.start()
        until_somebody_waits()
        end()
        thread.join(60)
    [(status, body)] = answers
    assert (status, "allow_exits" in str(body["detail"])) == (409, True)
    assert (Desk.objects.get().state, Desk.objects.get().reason) == ("halted", "stop")


def test_a_halt_answers_with_what_was_filled_while_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    account, instrument = Connection.objects.create(name="paper"), make_instrument()

    def fill_meanwhile(*_: object) -> None:
        assert Desk.objects.get().state == "halted"
        Position.objects.create(connection=account, instrument=instrument, quantity=2, average_price=99)

    monkeypatch.setattr(desk_state, "_wait_for_claimed", fill_meanwhile)
    status, body = ask("trade", state="halted", reason="news")
    assert (status, body["state"], body["open_positions"]) == (200, "halted", 1)
