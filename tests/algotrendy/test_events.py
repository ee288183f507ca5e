"""Announcements and nudges: after the commit, robust, and lost quietly."""

import pytest
from django.db import transaction
from django.dispatch import Signal
from kombu.exceptions import OperationalError

from algotrendy import events


class Sender:
    """Whoever announces."""


@pytest.mark.django_db(transaction=True)
def test_an_announcement_waits_for_the_commit() -> None:
    signal, heard = Signal(), []
    signal.connect(lambda **ids: heard.append(ids["row_id"]), weak=False)
    with transaction.atomic():
        events.announce(signal, Sender, row_id=7)
        assert heard == []
    assert heard == [7]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_never_announced() -> None:
    signal, heard = Signal(), []
    signal.connect(lambda **ids: heard.append(ids), weak=False)
    with transaction.atomic():
        events.announce(signal, Sender, row_id=7)
        transaction.set_rollback(True)
    assert heard == []


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_keeps_nobody_else_from_hearing() -> None:
    signal, heard = Signal(), []

    def fail(**_: object) -> None:
        raise ZeroDivisionError

    signal.connect(fail, weak=False)
    signal.connect(lambda **ids: heard.append(ids["row_id"]), weak=False)
    with transaction.atomic():
        events.announce(signal, Sender, row_id=1)
        events.announce(signal, Sender, row_id=2)
    assert heard == [1, 2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError("away"), ConnectionError("refused")])
def test_a_queue_that_is_away_undoes_nothing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def send_task(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(events.current_app, "send_task", send_task)
    assert events.nudge("brokers.sweep_orders") is False
    with transaction.atomic():
        events.nudge_after_commit("brokers.sweep_orders")


@pytest.mark.django_db(transaction=True)
def test_a_nudge_waits_for_the_commit_and_is_never_sent_for_what_is_rolled_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, tuple[object, ...]]] = []

    def send_task(task: str, *, args: tuple[object, ...], **_: object) -> None:
        sent.append((task, args))

    monkeypatch.setattr(events.current_app, "send_task", send_task)
    with transaction.atomic():
        events.nudge_after_commit("brokers.submit_order", 7)
        assert sent == []
    assert sent == [("brokers.submit_order", (7,))]
    with transaction.atomic():
        events.nudge_after_commit("brokers.submit_order", 8)
        transaction.set_rollback(True)
    events.nudge_after_commit("brokers.submit_order", 9)  # no transaction: at once
    assert [args for _, args in sent] == [(7,), (9,)]


@pytest.mark.django_db(transaction=True)
def test_a_job_waits_for_the_commit_and_what_it_raises_undoes_nothing() -> None:
    done: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError

    with transaction.atomic():
        events.after_commit(fail)
        events.after_commit(lambda: done.append(1))
        assert done == []
    assert done == [1]
    with transaction.atomic():
        events.after_commit(lambda: done.append(2))
        transaction.set_rollback(True)
    events.after_commit(lambda: done.append(3))  # no transaction: at once
    assert done == [1, 3]
