"""An order's way: claimed once, sent once, answered in one of three ways, and never guessed about."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from brokers import selectors, services, sync
from brokers.contract import OutcomeUnknown
from brokers.models import Desk, Fill, Order, Position, Trade
from brokers.orders import cancelling, execution, recovery
from brokers.venues import registry
from brokers.venues.paper import matching
from brokers.venues.paper.models import PaperExecution, PaperOrder
from tests.support.brokers import (
    add_candle,
    enter,
    let_match,
    make_connection,
    make_instrument,
    plan,
    plan_exit,
    reload,
)

pytestmark = pytest.mark.django_db(transaction=True)


def state_of(order: Order) -> str:
    return Order.objects.values_list("state", flat=True).get(pk=order.pk)


def test_an_entry_is_filled_and_its_position_trade_and_fill_are_there_at_once():
    connection, instrument = make_connection(), make_instrument()
    entry, stop, target = enter(connection, instrument, stop="95", target="110")
    assert (entry.state, entry.filled_quantity, entry.average_price) == ("filled", 10, 100)
    assert (stop.state, target.state) == ("accepted", "accepted")
    held = selectors.position(connection.pk, instrument.pk)
    assert (held.quantity, held.average_price, held.trade.state) == (10, 100, "open")
    assert Fill.objects.get().order == entry


def test_submitting_a_second_time_does_nothing():
    connection, instrument = make_connection(), make_instrument()
    entry, *_ = enter(connection, instrument)
    execution.submit(entry.pk)
    assert PaperOrder.objects.count() == 1


def test_an_exit_closes_the_trade_with_its_profit_net_of_fees():
    connection, instrument = make_connection(fee_bps=10), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    execution.submit(exit_.pk)
    trade = Trade.objects.get()
    assert (trade.state, trade.gross_pnl, trade.fees, trade.pnl) == ("closed", 0, 2, -2)
    assert selectors.equity(connection).equity == Decimal(100_000) - 2


def test_a_halted_desk_denies_everything_with_its_reason():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    services.set_desk_state(state="halted", by=None, reason="fire alarm")
    entry, stop, target = enter(connection, instrument, stop="95", target="110")
    exit_ = plan_exit(connection, instrument)
    execution.submit(exit_.pk)
    assert entry.state == "denied"
    assert "fire alarm" in entry.reason
    assert (stop.state, target.state, state_of(exit_)) == ("canceled", "canceled", "denied")
    assert PaperOrder.objects.count() == 1


def test_a_reducing_desk_lets_only_exits_through():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    services.set_desk_state(state="reducing", by=None, reason="news")
    entry, *_ = enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    execution.submit(exit_.pk)
    assert (entry.state, state_of(exit_)) == ("denied", "filled")


def test_a_desk_state_ends_by_itself_in_the_claim_and_in_the_sweep():
    connection, instrument = make_connection(), make_instrument()
    past = timezone.now() - timedelta(seconds=1)
    services.set_desk_state(state="reducing", by=None, reason="lunch", until=past)
    assert enter(connection, instrument)[0].state == "filled"
    recovery.sweep()
    desk = Desk.objects.get()
    assert (desk.state, desk.reason, desk.until) == ("active", "", None)


def test_an_entry_that_waited_too_long_expires():
    connection, instrument = make_connection(), make_instrument()
    past = timezone.now() - timedelta(seconds=1)
    entry, stop = plan(connection, instrument, stop="95", good_until=past)
    execution.submit(entry.pk)
    assert (state_of(entry), state_of(stop)) == ("expired", "canceled")


def test_a_reversal_waits_for_its_exit_and_then_leaves():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    entry, *_ = plan(connection, instrument, side="sell", after=exit_)
    execution.submit(entry.pk)
    assert state_of(entry) == "pending"
    execution.submit(exit_.pk)
    execution.submit(entry.pk)
    assert state_of(entry) == "filled"
    assert Position.objects.get().quantity == -10
    assert [trade.side for trade in Trade.objects.order_by("id")] == ["long", "short"]


def test_an_exit_of_nothing_is_canceled_here_and_the_reversal_goes_on():
    connection, instrument = make_connection(), make_instrument()
    exit_ = plan_exit(connection, instrument)
    entry, *_ = plan(connection, instrument, side="sell", after=exit_)
    execution.submit(exit_.pk)
    assert (state_of(exit_), PaperOrder.objects.count()) == ("canceled", 0)
    execution.submit(entry.pk)
    assert state_of(entry) == "filled"


def test_a_reversal_leaves_when_a_stop_closed_the_position_before_the_exit_did():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument, stop="95")
    exit_ = plan_exit(connection, instrument)
    entry, *_ = plan(connection, instrument, side="sell", after=exit_)
    add_candle(instrument, 0, "100", "100", "90", "94")
    matching.match_instrument(instrument.pk)
    execution.submit(exit_.pk)  # here the position is still open
    execution.submit(entry.pk)
    assert state_of(exit_) == "rejected"
    assert (state_of(entry), Position.objects.get().quantity) == ("filled", -10)


def test_a_reversal_is_canceled_when_its_exit_died_and_the_position_is_still_there():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    entry, *_ = plan(connection, instrument, side="sell", after=exit_)
    services.cancel_order(order=exit_, by=None)
    execution.submit(entry.pk)
    [entry] = reload(entry)
    assert entry.state == "canceled"
    assert "exit before it" in entry.reason


def test_a_lost_answer_is_unknown_and_is_then_looked_up_and_recorded_once():
    connection, instrument = make_connection(faults={"timeout_after": 1}), make_instrument()
    entry, stop, *_ = enter(connection, instrument, stop="95")
    assert (entry.state, stop.state) == ("unknown", "pending")
    assert "time-out" in entry.reason
    recovery.look_up(entry.pk)
    sync.sync_connection(connection.pk)
    entry, stop = reload(entry, stop)
    assert (entry.state, stop.state, entry.reason) == ("filled", "accepted", "")
    assert (PaperExecution.objects.count(), Fill.objects.count()) == (1, 1)


def test_a_lost_answer_is_also_settled_by_the_update_that_comes_first():
    connection, instrument = make_connection(faults={"timeout_after": 1}), make_instrument()
    entry, *_ = enter(connection, instrument)
    sync.sync_connection(connection.pk)
    assert state_of(entry) == "filled"


def test_an_order_that_never_arrived_leaves_again_exactly_once():
    connection, instrument = make_connection(faults={"timeout_before": 1}), make_instrument()
    entry, *_ = enter(connection, instrument)
    assert (entry.state, PaperOrder.objects.count()) == ("unknown", 0)
    recovery.look_up(entry.pk)
    assert (state_of(entry), PaperOrder.objects.count(), Fill.objects.count()) == ("filled", 1, 1)


@pytest.mark.parametrize("arrived", [True, False])
def test_an_order_whose_worker_was_killed_after_the_claim_leaves_exactly_once(arrived):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    claim = execution.claim_order(entry.pk)
    if arrived:
        registry.adapter(connection).submit(execution.request(claim.order))
    recovery.sweep()
    assert state_of(entry) == ("filled" if arrived else "submitting")
    long_ago = timezone.now() - timedelta(seconds=6)
    Order.objects.filter(state="submitting").update(submitted_at=long_ago)
    recovery.sweep()
    Order.objects.filter(state="unknown").update(updated_at=long_ago)
    recovery.sweep()
    assert (state_of(entry), PaperOrder.objects.count(), Fill.objects.count()) == ("filled", 1, 1)


def test_a_worker_that_wakes_up_late_can_neither_send_twice_nor_overwrite():
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    asleep = execution.claim_order(entry.pk)
    long_ago = timezone.now() - timedelta(seconds=6)
    Order.objects.filter(pk=entry.pk).update(submitted_at=long_ago)
    recovery.doubt_lost_claims()
    recovery.look_up(entry.pk)
    assert state_of(entry) == "filled"
    execution.write_answer(asleep, execution.call_venue(asleep))
    assert (state_of(entry), PaperOrder.objects.count(), Fill.objects.count()) == ("filled", 1, 1)


def test_entries_wait_while_an_order_of_the_instrument_is_in_doubt_and_exits_do_not():
    connection, instrument = make_connection(), make_instrument()
    other = make_instrument("ETHUSDT")
    enter(connection, instrument, quantity="1")
    connection.settings |= {"faults": {"timeout_after": 1}}
    connection.save()
    doubtful, *_ = enter(connection, instrument, quantity="1")
    waiting, *_ = enter(connection, instrument, quantity="1")
    elsewhere, *_ = enter(connection, other, quantity="1")
    exit_ = plan_exit(connection, instrument, quantity="1")
    execution.submit(exit_.pk)
    assert (doubtful.state, elsewhere.state, state_of(exit_)) == ("unknown", "filled", "filled")
    assert waiting.state == "pending"
    assert state_of(waiting) == "canceled"  # the exit withdrew it


def test_lookups_are_bounded_and_then_a_person_must_look():
    connection, instrument = make_connection(faults={"timeout_after": 1, "unavailable": 99}), make_instrument()
    entry, *_ = enter(connection, instrument)
    for _ in range(recovery.LOOKUPS):
        assert state_of(entry) == "unknown"
        recovery.look_up(entry.pk)
    [entry] = reload(entry)
    assert entry.state == "needs_review"
    assert "could not be asked" in entry.reason
    connection.settings = {}
    connection.save()
    assert recovery.resolve_by_hand(order=entry, by=User.objects.create(username="ann")).state == "filled"


def test_lookups_back_off():
    connection, instrument = make_connection(faults={"timeout_after": 1, "unavailable": 99}), make_instrument()
    entry, *_ = enter(connection, instrument)
    for seconds, lookups in ((0.5, 0), (1.1, 1), (1.1, 1), (2.1, 2), (3.9, 2), (4.1, 3)):
        Order.objects.filter(pk=entry.pk).update(updated_at=timezone.now() - timedelta(seconds=seconds))
        recovery.look_up_doubtful()
        assert reload(entry)[0].lookups == lookups


def test_an_adapter_that_fails_in_an_unforeseen_way_leaves_the_order_in_doubt(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    monkeypatch.setattr("brokers.venues.paper.book.place", lambda *_: 1 / 0)
    entry, *_ = enter(connection, instrument)
    assert entry.state == "unknown"
    assert "ZeroDivisionError" in entry.reason


def test_a_refusal_is_rejected_with_the_venues_reason_and_ends_the_legs():
    connection, instrument = make_connection(), make_instrument()
    instrument.quote_now.delete()
    entry, stop = enter(connection, instrument, stop="95")
    assert (entry.state, stop.state) == ("rejected", "canceled")
    assert "has no price" in entry.reason


def test_the_sweep_sends_what_a_lost_nudge_left_but_not_what_is_new():
    connection, instrument = make_connection(), make_instrument()
    [old], [new] = plan(connection, instrument), plan(connection, instrument)
    Order.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(seconds=3))
    recovery.sweep()
    assert (state_of(old), state_of(new)) == ("filled", "pending")


def test_limits_hold_over_entries_that_are_on_their_way_together():
    connection = make_connection()
    Desk.objects.create(max_open_positions=2)
    entries = [plan(connection, make_instrument(f"A{n}USDT"))[0] for n in range(3)]
    for entry in entries[:2]:
        execution.claim_order(entry.pk)
    execution.submit(entries[2].pk)
    [third] = reload(entries[2])
    assert third.state == "denied"
    assert "at most 2" in third.reason


def test_a_position_does_not_outgrow_its_limit_by_two_orders_at_once():
    connection, instrument = make_connection(), make_instrument()
    Desk.objects.create(max_order_pct=20, max_position_pct=25)
    [first], [second] = (plan(connection, instrument, quantity="150") for _ in range(2))
    execution.claim_order(first.pk)
    execution.submit(second.pk)
    assert state_of(second) == "denied"


def test_cancelling_before_it_left_needs_no_venue():
    connection, instrument = make_connection(), make_instrument()
    entry, stop = plan(connection, instrument, stop="95")
    services.cancel_order(order=entry, by=None)
    execution.submit(entry.pk)
    assert (state_of(entry), state_of(stop), PaperOrder.objects.count()) == ("canceled", "canceled", 0)
    with pytest.raises(services.CannotCancel):
        services.cancel_order(order=entry, by=None)


def test_cancelling_at_the_venue_keeps_what_was_filled_and_shrinks_the_legs():
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, stop = enter(connection, instrument, stop="95")
    assert (entry.state, entry.filled_quantity) == ("partially_filled", 4)
    services.cancel_order(order=entry, by=None)
    cancelling.cancel(entry.pk)
    entry, stop = reload(entry, stop)
    assert (entry.state, stop.state, stop.quantity) == ("canceled", "accepted", 4)
    add_candle(instrument, 0, "100", "100", "90", "90")
    let_match(connection, instrument)
    assert (state_of(stop), Position.objects.get().quantity) == ("filled", 0)


def test_a_cancel_that_fails_at_the_venue_changes_nothing_here(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, *_ = enter(connection, instrument)

    def lost(*_: object) -> None:
        raise OutcomeUnknown("time-out")

    monkeypatch.setattr("brokers.venues.paper.broker.PaperBroker.cancel", lost)
    services.cancel_order(order=entry, by=None)
    cancelling.cancel(entry.pk)
    assert state_of(entry) == "partially_filled"


def test_an_exit_waits_until_the_entry_before_it_can_not_fill_any_more():
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    execution.claim_order(entry.pk)
    exit_ = plan_exit(connection, instrument)
    execution.submit(exit_.pk)
    assert state_of(exit_) == "pending"


def test_close_position_orders_one_exit_and_withdraws_what_waits():
    connection, instrument = make_connection(), make_instrument()
    _, stop, target = enter(connection, instrument, stop="95", target="110")
    [waiting] = plan(connection, instrument)
    exit_ = services.close_position(connection=connection, instrument=instrument, by=None)
    execution.submit(exit_.pk)
    sync.sync_connection(connection.pk)
    assert (state_of(exit_), state_of(waiting)) == ("filled", "canceled")
    assert (state_of(stop), state_of(target)) == ("canceled", "canceled")
    assert services.close_position(connection=connection, instrument=instrument, by=None) is None


def test_closing_twice_returns_the_exit_that_is_under_way():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    first = services.close_position(connection=connection, instrument=instrument, by=None)
    second = services.close_position(connection=connection, instrument=instrument, by=None)
    assert first == second


def test_a_refused_answer_of_an_old_claim_changes_nothing(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    old = execution.claim_order(entry.pk)
    Order.objects.filter(pk=entry.pk).update(submitted_at=timezone.now())
    execution.write_answer(old, execution.Refusal("no"))
    execution.write_answer(old, execution.Doubt("hm"))
    assert state_of(entry) == "submitting"
