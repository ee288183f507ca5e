"""A crash between two steps leaves neither behind, and who must wait for a lock does."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.utils import timezone

from algotrendy import events
from brokers import desk_state, services, sync, task_names
from brokers.contract import DuplicateClientOrderId, Execution, Updates, VenueOrder, VenueUnavailable
from brokers.ledger import posting
from brokers.models import Connection, Desk, Fill, Order, Position, Trade
from brokers.orders import cancelling, execution, recovery, reports
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperOrder
from tests.support.brokers import (
    START,
    add_candle,
    enter,
    make_connection,
    make_instrument,
    plan,
    plan_exit,
    reload,
)
from tests.support.locks import held_elsewhere, impatient

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture
def nudged(monkeypatch) -> list[tuple[str, int]]:
    """What was nudged, instead of nudging it."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(events, "nudge", lambda task, row: seen.append((task, row)))
    return seen


def state_of(order: Order) -> str:
    return Order.objects.values_list("state", flat=True).get(pk=order.pk)


def execution_of(order: Order, quantity: str = "10", price: str = "100", number: int = 1) -> Execution:
    return Execution(
        venue_trade_id=f"{order.pk}-{number}",
        client_order_id=order.client_order_id,
        symbol="BTCUSDT",
        side=order.side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(0),
        executed_at=START,
    )


def report_of(order: Order, state: str = "filled", **of_execution: str) -> VenueOrder:
    executions = (execution_of(order, **of_execution),) if state == "filled" else ()
    return VenueOrder(order.client_order_id, "v1", state, executions=executions)


# --- crashes


def test_a_crash_between_a_refusal_and_the_end_of_its_legs_leaves_both_undone(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    entry, stop = plan(connection, instrument, stop="95")
    claim = execution.claim_order(entry.pk)
    with monkeypatch.context() as patch:
        patch.setattr(execution, "end_legs", kill)
        with pytest.raises(Killed):
            execution.write_answer(claim, execution.Refusal("no"))
    assert (state_of(entry), state_of(stop)) == ("submitting", "pending")
    execution.write_answer(claim, execution.Refusal("no"))
    assert (state_of(entry), state_of(stop)) == ("rejected", "canceled")


def test_a_crash_between_a_doubt_and_its_nudge_leaves_both_undone(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    claim = execution.claim_order(entry.pk)
    with monkeypatch.context() as patch:
        patch.setattr(execution, "nudge_after_commit", kill)
        with pytest.raises(Killed):
            execution.write_answer(claim, execution.Doubt("hm", look_now=True))
    assert state_of(entry) == "submitting"


def test_a_crash_after_the_verdict_leaves_an_unsent_order_and_its_legs_as_they_were(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    services.set_desk_state(state="halted", by=None, reason="stop")
    entry, stop = plan(connection, instrument, stop="95")
    with monkeypatch.context() as patch:
        patch.setattr(execution, "end_legs", kill)
        with pytest.raises(Killed):
            execution.submit(entry.pk)
    assert (state_of(entry), state_of(stop)) == ("pending", "pending")


def test_a_crash_within_a_report_leaves_no_part_of_it(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    entry, stop = plan(connection, instrument, stop="95")
    execution.claim_order(entry.pk)
    for record in (
        lambda: reports.record_or_review(entry, report_of(entry)),
        lambda: reports.record(connection, report_of(entry)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(reports, "accept_legs", kill)
            with pytest.raises(Killed):
                record()
        assert (state_of(entry), state_of(stop)) == ("submitting", "pending")
        assert (Fill.objects.count(), Trade.objects.count()) == (0, 0)
        assert not Position.objects.exclude(quantity=0).exists()


def test_a_crash_within_a_batch_of_updates_keeps_the_cursor(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    before = Connection.objects.get().cursor
    with monkeypatch.context() as patch:
        patch.setattr(reports, "record_all", kill)
        with pytest.raises(Killed):
            sync.sync_connection(connection.pk)
    assert Connection.objects.get().cursor == before
    assert sync.sync_connection(connection.pk)
    assert Connection.objects.get().cursor != before


def test_a_crash_while_a_person_settles_an_order_settles_nothing(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    entry, stop = plan(connection, instrument, stop="95")
    Order.objects.filter(pk=entry.pk).update(state="needs_review", reason="?")
    ann = User.objects.create(username="ann")
    with monkeypatch.context() as patch:
        patch.setattr(recovery, "end_legs", kill)
        with pytest.raises(Killed):
            recovery.resolve_by_hand(order=entry, by=ann)
    assert (state_of(entry), state_of(stop)) == ("needs_review", "pending")
    settled = recovery.resolve_by_hand(order=entry, by=ann)
    assert (settled.state, state_of(stop)) == ("rejected", "canceled")
    assert "ann" in settled.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda: services.set_desk_state(state="reducing", by=None, reason="news"),
        lambda: desk_state.reduce_until_midnight("lost too much"),
    ],
)
def test_a_crash_between_a_change_of_the_desk_and_its_announcement_changes_nothing(monkeypatch, change):
    Desk.objects.get_or_create(pk=1)
    monkeypatch.setattr(desk_state, "announce", kill)
    with pytest.raises(Killed):
        change()
    assert Desk.objects.get().state == "active"


def test_a_crash_while_a_desk_state_ends_leaves_it(monkeypatch):
    services.set_desk_state(state="reducing", by=None, reason="lunch", until=START)
    monkeypatch.setattr(desk_state, "announce", kill)
    with pytest.raises(Killed):
        desk_state.end_expired()
    assert Desk.objects.get().state == "reducing"


# --- locks


def test_exits_leave_side_by_side_and_an_entry_waits_for_them():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    [entry] = plan(connection, instrument)
    # As another exit holds it between its claim's first line and its commit.
    with held_elsewhere(lambda: execution._locked_desk(alone=False)), impatient():
        with pytest.raises(OperationalError):
            execution.claim_order(entry.pk)
        assert execution.claim_order(exit_.pk) is not None
    assert (state_of(exit_), state_of(entry)) == ("submitting", "pending")


def test_entries_and_exits_wait_for_an_entry_that_is_being_claimed():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    [entry] = plan(connection, instrument)
    with held_elsewhere(lambda: execution._locked_desk(alone=True)), impatient():
        for order in (entry, exit_):
            with pytest.raises(OperationalError):
                execution.claim_order(order.pk)


def test_a_halt_waits_for_a_claim_that_is_being_judged():
    Desk.objects.get_or_create(pk=1)
    with held_elsewhere(lambda: execution._locked_desk(alone=False)), impatient(), pytest.raises(OperationalError):
        services.set_desk_state(state="halted", by=None, reason="stop")


def test_two_writers_of_a_position_wait_for_one_another():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    with (
        held_elsewhere(lambda: posting.lock_position(connection.pk, instrument.pk)),
        impatient(),
        transaction.atomic(),
        pytest.raises(OperationalError),
    ):
        posting.lock_position(connection.pk, instrument.pk)


def test_a_position_that_was_just_made_is_locked_as_well():
    connection, instrument = make_connection(), make_instrument()
    with (
        held_elsewhere(lambda: posting.lock_position(connection.pk, instrument.pk)),
        impatient(),
        pytest.raises(OperationalError),
        transaction.atomic(),
    ):
        posting.lock_position(connection.pk, instrument.pk)
    assert Position.objects.count() == 1


def test_one_sweep_works_at_a_time():
    from algotrendy import locks

    with held_elsewhere(lambda: locks.lock_in_transaction("brokers.sweep")):
        assert recovery.sweep() is False
    assert recovery.sweep() is True


# --- guards


def test_only_a_pending_order_that_is_no_leg_can_be_claimed():
    connection, instrument = make_connection(), make_instrument()
    entry, stop, target = plan(connection, instrument, stop="95", target="110")
    assert execution.claim_order(stop.pk) is None
    for state in ("submitting", "accepted", "unknown", "needs_review", "filled", "canceled", "denied"):
        Order.objects.filter(pk=entry.pk).update(
            state=state, reason="why", filled_quantity=10 if state == "filled" else 0
        )
        assert execution._pending_with_legs(entry.pk) == []
        assert execution.claim_order(entry.pk) is None
        assert state_of(entry) == state
    assert (state_of(stop), state_of(target)) == ("pending", "pending")


def test_the_legs_of_a_claim_are_those_that_wait_in_the_order_they_were_planned():
    connection, instrument = make_connection(), make_instrument()
    entry, stop, target = plan(connection, instrument, stop="95", target="110")
    for order in (target, stop, entry):  # each UPDATE moves its row behind the others on disk
        Order.objects.filter(pk=order.pk).update(lookups=0)
    claim = execution.claim_order(entry.pk)
    assert [leg.pk for leg in claim.legs] == [stop.pk, target.pk]
    other, gone, kept = plan(connection, instrument, stop="95", target="110")
    Order.objects.filter(pk=gone.pk).update(state="canceled", reason="by hand")
    assert [leg.pk for leg in execution.claim_order(other.pk).legs] == [kept.pk]


def test_a_claim_that_took_too_long_is_left_to_the_sweep(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    ticks = iter([0.0, execution.CLAIM_SECONDS + 0.1])
    monkeypatch.setattr(execution, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    execution.submit(entry.pk)
    assert (state_of(entry), PaperOrder.objects.count()) == ("submitting", 0)


def test_a_duplicate_id_is_looked_up_at_once_and_another_doubt_later(monkeypatch, nudged):
    connection = make_connection()
    answers = iter([DuplicateClientOrderId("again"), RuntimeError("lost")])

    def fail(*_: object) -> None:
        raise next(answers)

    monkeypatch.setattr(PaperBroker, "submit", fail)
    first, second = (enter(connection, make_instrument(name))[0] for name in ("BTCUSDT", "ETHUSDT"))
    assert [order.state for order in (first, second)] == ["unknown", "unknown"]
    assert (first.reason, second.reason) == (execution.DUPLICATE, "RuntimeError: lost")
    assert [row for task, row in nudged if task == task_names.LOOK_UP] == [first.pk]


def test_a_doubt_that_came_too_late_nudges_nobody(nudged):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    claim = execution.claim_order(entry.pk)
    reports.record_or_review(entry, report_of(entry))
    nudged.clear()
    execution.write_answer(claim, execution.Doubt("hm", look_now=True))
    assert (state_of(entry), nudged) == ("filled", [])


@pytest.mark.parametrize("state", ["pending", "submitting", "unknown", "canceled"])
def test_only_what_is_at_the_venue_is_cancelled_there(monkeypatch, state):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    wanted = {"cancel_requested_at": timezone.now(), "cancel_reason": "why"}
    Order.objects.filter(pk=entry.pk).update(state=state, reason="why", **wanted)
    monkeypatch.setattr(PaperBroker, "cancel", kill)
    cancelling.cancel(entry.pk)
    assert state_of(entry) == state


def test_a_batch_that_another_worker_has_recorded_is_left_alone():
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    stale = Connection.objects.get()
    Connection.objects.update(cursor=7)
    assert sync._record_batch(stale, Updates(orders=(report_of(entry),), cursor=8)) == []
    assert (state_of(entry), Connection.objects.get().cursor) == ("pending", 7)


def test_a_report_of_an_order_of_nobody_here_changes_nothing():
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    stranger = VenueOrder("nobodys", "v1", "accepted")
    assert reports.record(connection, stranger) is None
    assert reports.record_all(connection, [stranger]) == []
    assert state_of(entry) == "pending"


# --- nudges


def test_what_waits_is_nudged_in_the_order_it_was_planned_and_nothing_else_is(nudged):
    connection, instrument = make_connection(), make_instrument()
    other = make_instrument("ETHUSDT")
    entry, *_ = plan(connection, instrument, quantity="1")
    first, _stop = plan(connection, instrument, quantity="1", stop="95")
    second, *_ = plan(connection, instrument, quantity="1")
    plan(connection, other, quantity="1")
    plan(make_connection("other"), instrument, quantity="1")
    Order.objects.filter(pk=first.pk).update(lookups=0)  # its row now lies behind the second's
    claim = execution.claim_order(entry.pk)
    nudged.clear()
    execution.write_answer(claim, execution.Refusal("no"))
    assert nudged == [(task_names.SUBMIT, first.pk), (task_names.SUBMIT, second.pk)]


def test_a_cancel_that_was_wanted_on_the_way_is_asked_for_once_the_venue_has_the_order(nudged):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    execution.claim_order(entry.pk)
    cancelling.request_cancel(entry.pk, "why")
    nudged.clear()
    reports.record_or_review(entry, report_of(entry, "accepted"))
    assert nudged == [(task_names.CANCEL, entry.pk)]
    reports.record_or_review(entry, report_of(entry, "accepted"))
    assert len(nudged) == 1


def test_an_order_that_is_not_over_nudges_nobody(nudged):
    connection, instrument = make_connection(), make_instrument()
    [entry], _ = plan(connection, instrument), plan(connection, instrument)
    execution.claim_order(entry.pk)
    nudged.clear()
    reports.record_or_review(entry, report_of(entry, "accepted"))
    assert nudged == []


def test_a_position_that_went_flat_is_looked_at_once_more_and_its_equity_marked(nudged):
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    execution.claim_order(exit_.pk)
    nudged.clear()
    reports.record_or_review(exit_, report_of(exit_, price="110"))
    assert sorted(nudged) == sorted([(task_names.MARK, connection.pk), (task_names.SYNC, connection.pk)])


def test_an_exit_withdraws_the_entry_before_it_and_waits(nudged):
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, *_ = enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    nudged.clear()
    execution.submit(exit_.pk)
    assert (state_of(exit_), reload(entry)[0].state) == ("pending", "partially_filled")
    assert (task_names.CANCEL, entry.pk) in nudged


def test_an_order_that_ends_before_it_left_nudges_what_waits(nudged):
    connection, instrument = make_connection(), make_instrument()
    [late], [waiting] = plan(connection, instrument, good_until=START), plan(connection, instrument)
    nudged.clear()
    execution.submit(late.pk)
    assert state_of(late) == "expired"
    assert nudged == [(task_names.SUBMIT, waiting.pk)]


def test_an_order_that_ends_at_the_venue_nudges_what_waits_and_ends_its_legs(nudged):
    connection, instrument = make_connection(), make_instrument()
    (entry, stop), [waiting] = plan(connection, instrument, stop="95"), plan(connection, instrument)
    execution.claim_order(entry.pk)
    nudged.clear()
    reports.record_or_review(entry, report_of(entry, "canceled"))
    assert (state_of(entry), state_of(stop)) == ("canceled", "canceled")
    assert nudged == [(task_names.SUBMIT, waiting.pk)]


def test_an_order_that_a_person_settles_nudges_what_waits(nudged):
    connection, instrument = make_connection(), make_instrument()
    [lost], [waiting] = plan(connection, instrument), plan(connection, instrument)
    Order.objects.filter(pk=lost.pk).update(state="needs_review", reason="?")
    nudged.clear()
    recovery.resolve_by_hand(order=lost, by=User.objects.create(username="ann"))
    assert nudged == [(task_names.SUBMIT, waiting.pk)]


def test_an_order_of_a_connection_that_was_switched_off_is_denied():
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    Connection.objects.update(enabled=False)
    execution.submit(entry.pk)
    entry.refresh_from_db()
    assert (entry.state, entry.reason) == ("denied", "connection paper is switched off")


def test_an_exit_waits_for_an_entry_of_which_nobody_knows_whether_it_filled():
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(state="unknown", reason="time-out")
    exit_ = plan_exit(connection, instrument)
    execution.submit(exit_.pk)
    assert state_of(exit_) == "pending"
    Order.objects.filter(pk=entry.pk).update(state="rejected")
    execution.submit(exit_.pk)
    assert state_of(exit_) == "canceled"


# --- asking the venue


def unreachable(*_: object) -> None:
    raise VenueUnavailable("away")


@pytest.mark.parametrize(
    ("looks", "state"), [(recovery.LOOKUPS - 2, "unknown"), (recovery.LOOKUPS - 1, "needs_review")]
)
def test_the_last_look_that_proves_nothing_makes_an_order_a_persons(monkeypatch, looks, state):
    [entry] = plan(make_connection(), make_instrument())
    Order.objects.filter(pk=entry.pk).update(state="unknown", reason="time-out", lookups=looks)
    monkeypatch.setattr(PaperBroker, "lookup", unreachable)
    assert recovery.look_up(entry.pk) is False
    [entry] = reload(entry)
    assert (entry.state, entry.lookups) == (state, looks + 1)
    assert entry.reason == "the venue could not be asked: away"


def test_a_look_counts_only_while_an_order_is_unknown(monkeypatch):
    [entry] = plan(make_connection(), make_instrument())
    Order.objects.filter(pk=entry.pk).update(state="needs_review", reason="?", lookups=recovery.LOOKUPS)
    monkeypatch.setattr(PaperBroker, "lookup", unreachable)
    assert recovery.look_up(entry.pk) is False
    [entry] = reload(entry)
    assert (entry.state, entry.reason, entry.lookups) == ("needs_review", "?", recovery.LOOKUPS)


def test_the_venue_is_not_asked_for_an_order_that_is_not_in_doubt(monkeypatch):
    [entry] = plan(make_connection(), make_instrument())
    monkeypatch.setattr(PaperBroker, "lookup", kill)
    assert recovery.look_up(entry.pk) is True
    assert state_of(entry) == "pending"


def test_a_venue_without_news_is_asked_once_and_its_health_not_written_again(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    sync.sync_connection(connection.pk)
    before = Connection.objects.get().last_synced_at
    asked: list[object] = []
    updates = PaperBroker.updates
    monkeypatch.setattr(PaperBroker, "updates", lambda self, cursor: asked.append(cursor) or updates(self, cursor))
    sync.sync_connection(connection.pk)
    assert (len(asked), Connection.objects.get().last_synced_at) == (1, before)
