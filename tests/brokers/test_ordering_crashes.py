"""What people and the agent ask for: planned, closed and cancelled whole, announced, never past a halt."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connections

from algotrendy import events
from algotrendy.history.models import Change
from brokers import services, signals, task_names
from brokers.models import Connection, Desk, Order
from brokers.orders import cancelling, execution
from brokers.services import CannotCancel, CannotClose
from tests.support.brokers import enter, make_connection, make_instrument, plan, plan_exit, reload
from tests.support.locks import held_elsewhere, until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture(autouse=True)
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was nudged, instead of nudging it."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(events, "nudge", lambda task, row: seen.append((task, row)))
    return seen


@pytest.fixture
def announced() -> Iterator[list[tuple[int, str]]]:
    seen: list[tuple[int, str]] = []

    def receive(order_id: int, state: str, **_: object) -> None:
        seen.append((order_id, str(state)))

    signals.order_changed.connect(receive)
    yield seen
    signals.order_changed.disconnect(receive)


def close(connection: Connection, instrument, **options: bool) -> Order | None:
    return services.close_position(connection=connection, instrument=instrument, by=None, **options)


def facts() -> list[object]:
    orders = Order.objects.order_by("pk").values_list("pk", "state", "cancel_requested_at")
    return [*orders, Change.objects.count(), *Desk.objects.values_list("state", flat=True)]


def test_what_is_planned_is_announced(announced) -> None:
    connection, instrument = make_connection(), make_instrument()
    entry, _stop = plan(connection, instrument, stop="95")
    exit_ = plan_exit(connection, instrument)
    assert (entry.pk, "pending") in announced
    assert announced[-1] == (exit_.pk, "pending")


def test_nothing_is_planned_that_is_below_a_step() -> None:
    with pytest.raises(ValueError, match="below one step"):
        plan(make_connection(), make_instrument(), quantity="0.0001")


def test_a_crash_within_a_persons_cancel_leaves_the_order_and_its_legs(monkeypatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    entry, _stop = plan(connection, instrument, stop="95")
    for step in ("end_legs", "note"):
        before = facts()
        with monkeypatch.context() as patch:
            patch.setattr(services, step, kill)
            with pytest.raises(Killed):
                services.cancel_order(order=entry, by=None)
        assert facts() == before
    assert services.cancel_order(order=entry, by=None) == "cancelled before it left"
    assert [order.state for order in Order.objects.all()] == ["canceled", "canceled"]


def test_a_crash_within_a_persons_cancel_at_the_venue_asks_for_nothing(monkeypatch, nudged) -> None:
    [entry] = plan(make_connection(), make_instrument())
    execution.claim_order(entry.pk)
    nudged.clear()
    before = facts()
    with monkeypatch.context() as patch:
        patch.setattr(services, "note", kill)
        with pytest.raises(Killed):
            services.cancel_order(order=entry, by=None)
    assert (facts(), nudged) == (before, [])


@pytest.mark.parametrize(("state", "says"), [("accepted", "asked until it has ended"), ("unknown", "as soon as")])
def test_a_cancel_says_whether_the_venue_is_known_to_have_the_order(state: str, says: str, nudged) -> None:
    [entry] = plan(make_connection(), make_instrument())
    Order.objects.filter(pk=entry.pk).update(state=state, reason="why")
    assert says in services.cancel_order(order=entry, by=None)
    assert nudged == [(task_names.CANCEL, entry.pk)]


def test_a_waiting_leg_and_what_is_over_can_not_be_cancelled() -> None:
    connection, instrument = make_connection(), make_instrument()
    entry, stop = plan(connection, instrument, stop="95")
    Order.objects.filter(pk=entry.pk).update(state="rejected", reason="no")
    before = facts()
    for order in reload(entry, stop):
        with pytest.raises(CannotCancel):
            services.cancel_order(order=order, by=None)
    assert facts() == before


def test_a_crash_within_a_close_leaves_the_waiting_entry_and_no_exit(monkeypatch, nudged) -> None:
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    plan(connection, instrument)
    nudged.clear()
    before = facts()
    for step in ("plan_exit", "send", "note"):
        with monkeypatch.context() as patch:
            patch.setattr(services, step, kill)
            with pytest.raises(Killed):
                close(connection, instrument)
        assert (facts(), nudged) == (before, [])


def test_a_close_waits_for_a_halt_that_is_being_written_and_is_refused_then() -> None:
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    refused: list[str] = []

    def run() -> None:
        try:
            close(connection, instrument)
        except CannotClose as error:
            refused.append(str(error))
        finally:
            connections.close_all()

    with held_elsewhere(lambda: Desk.objects.filter(pk=1).update(state="halted", reason="stop")) as end:
        thread = threading.Thread(target=run)
        thread.start()
        until_somebody_waits()
        end()
        thread.join(60)
    assert refused == ["the desk is halted (stop): nothing leaves it, exits neither"]
    assert not Order.objects.filter(role="exit").exists()


def test_a_second_close_is_the_first_one(nudged) -> None:
    connection, instrument = make_connection(), make_instrument()
    assert close(connection, instrument) is None
    enter(connection, instrument)
    nudged.clear()
    first = close(connection, instrument)
    assert nudged == [(task_names.SUBMIT, first.pk)]
    assert close(connection, instrument) == first
    assert Order.objects.filter(role="exit").count() == 1


def test_a_close_that_could_not_leave_is_refused_and_changes_nothing(monkeypatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    Connection.objects.update(enabled=False)
    before = facts()
    with pytest.raises(CannotClose, match="switched off"):
        close(connection, instrument, allow_exits=True)
    assert facts() == before
    Connection.objects.update(enabled=True)
    services.set_desk_state(state="halted", by=None, reason="stop")
    before = facts()
    with pytest.raises(CannotClose, match="halted"):
        close(connection, instrument)
    assert facts() == before
    assert close(connection, instrument, allow_exits=True) is not None
    assert Desk.objects.get().state == "reducing"


def test_exits_allowed_where_nothing_was_halted_leave_the_desk_as_it_is() -> None:
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    assert close(connection, instrument, allow_exits=True) is not None
    assert Desk.objects.get().state == "active"


def test_a_close_withdraws_what_waits_and_has_the_rest_cancelled(nudged) -> None:
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    [waiting], [claimed] = plan(connection, instrument), plan(connection, instrument)
    execution.claim_order(claimed.pk)
    close(connection, instrument)
    waiting, claimed = reload(waiting, claimed)
    assert (waiting.state, claimed.state, claimed.cancel_requested_at is None) == ("canceled", "submitting", False)
    assert (task_names.CANCEL, claimed.pk) in nudged
    assert cancelling.request_cancel(waiting.pk, "again") is False
