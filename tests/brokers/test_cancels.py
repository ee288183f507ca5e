"""A wanted cancel is a row: HALT, a close and a person's button write it, and it is repeated until it is final."""

import threading
from decimal import Decimal

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from algotrendy import events
from brokers import desk_state, selectors, services, sync
from brokers.contract import OutcomeUnknown, VenueOrder
from brokers.ledger import equity
from brokers.models import Connection, Desk, Order, Position
from brokers.orders import cancelling, execution, pre_submit, recovery
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperOrder
from market.models import Instrument
from tests.support.brokers import (
    add_candle,
    enter,
    let_match,
    make_connection,
    make_instrument,
    plan,
    plan_exit,
    reload,
    set_price,
)
from tests.support.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30  # seconds until a test gives up waiting for another thread


@pytest.fixture(autouse=True)
def no_worker(monkeypatch) -> None:
    """A desk whose nudges are all lost."""
    monkeypatch.setattr(events, "nudge", lambda task, *args: False)


@pytest.fixture
def deaf(monkeypatch) -> list[str]:
    """The ids of cancels that the venue was asked for and did not answer, until its first is "listens"."""
    asked: list[str] = []
    cancel = PaperBroker.cancel

    def lost(self: PaperBroker, client_order_id: str) -> VenueOrder:
        asked.append(client_order_id)
        if asked[0] == "listens":
            return cancel(self, client_order_id)
        raise OutcomeUnknown("time-out")

    monkeypatch.setattr(PaperBroker, "cancel", lost)
    return asked


def raise_soft_limit(*_: object) -> None:
    raise SoftTimeLimitExceeded


def thin(instrument: Instrument) -> None:
    """Let the next market order of 10 fill 4 at once."""
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")


def part_filled(connection: Connection, instrument: Instrument, **options: object) -> Order:
    thin(instrument)
    entry, *_ = enter(connection, instrument, **options)
    assert (entry.state, entry.filled_quantity) == ("partially_filled", 4)
    return entry


def lose_next_answer(connection: Connection, *, arrives: bool) -> None:
    fault = "timeout_after" if arrives else "timeout_before"
    Connection.objects.filter(pk=connection.pk).update(settings=connection.settings | {"faults": {fault: 1}})
    connection.refresh_from_db()


def facts(order: Order) -> tuple[str, Decimal]:
    [order] = reload(order)
    return order.state, order.filled_quantity


def test_an_entry_on_its_way_when_the_desk_halts_fills_no_further(monkeypatch):
    """It was claimed before, arrives meanwhile and fills a part; the halt returns when the rest is cancelled."""
    connection, instrument = make_connection(), make_instrument()
    thin(instrument)
    [entry] = plan(connection, instrument)
    at_venue, halted = threading.Event(), threading.Event()
    submit, drain = PaperBroker.submit, desk_state._wait_for_claimed

    def slow(self: PaperBroker, request) -> VenueOrder:
        at_venue.set()
        assert halted.wait(PATIENCE)
        return submit(self, request)

    def halt() -> None:
        assert at_venue.wait(PATIENCE)
        services.set_desk_state(state="halted", by=None, reason="stop")

    monkeypatch.setattr(PaperBroker, "submit", slow)
    monkeypatch.setattr(desk_state, "_wait_for_claimed", lambda at: (halted.set(), drain(at)))
    in_threads(lambda: execution.submit(entry.pk), halt)
    assert facts(entry) == ("canceled", 4)
    add_candle(instrument, 0, "100", "100", "100", "100")
    let_match(connection, instrument)
    assert facts(entry) == ("canceled", 4)


def test_a_halt_whose_cancel_failed_is_carried_out_by_the_sweep_before_anything_trades(deaf):
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    services.set_desk_state(state="halted", by=None, reason="stop")
    assert len(deaf) == 1
    [entry] = reload(entry)
    assert (entry.state, entry.cancel_reason) == ("partially_filled", "the desk is halted: stop")
    assert entry.reason == "not cancelled yet: time-out"
    recovery.sweep()
    assert len(deaf) == 2
    deaf[:] = ["listens"]
    add_candle(instrument, 0, "100", "100", "100", "100")
    recovery.sweep()
    assert facts(entry) == ("canceled", 4)
    assert PaperOrder.objects.get().filled_quantity == 4


def test_a_halt_that_was_killed_before_it_withdrew_anything_is_completed_by_the_sweep():
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    Desk.objects.update_or_create(pk=1, defaults={"state": "halted", "reason": "stop"})
    add_candle(instrument, 0, "100", "100", "100", "100")
    recovery.sweep()
    assert facts(entry) == ("canceled", 4)


def test_a_wanted_cancel_outlives_the_halt(deaf):
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    services.set_desk_state(state="halted", by=None, reason="stop")
    services.set_desk_state(state="active", by=None, reason="")
    deaf[:] = ["listens"]
    recovery.sweep()
    assert facts(entry) == ("canceled", 4)


def test_an_entry_in_doubt_when_the_desk_halts_is_cancelled_once_it_is_found():
    connection, instrument = make_connection(), make_instrument()
    thin(instrument)
    lose_next_answer(connection, arrives=True)
    entry, *_ = enter(connection, instrument)
    services.set_desk_state(state="halted", by=None, reason="stop")
    assert facts(entry) == ("unknown", 0)
    recovery.look_up(entry.pk)
    add_candle(instrument, 0, "100", "100", "100", "100")
    recovery.sweep()
    assert facts(entry) == ("canceled", 4)


def test_an_entry_in_doubt_that_never_arrived_is_not_sent_again():
    connection, instrument = make_connection(), make_instrument()
    lose_next_answer(connection, arrives=False)
    entry, stop = enter(connection, instrument, stop="95")
    services.set_desk_state(state="halted", by=None, reason="stop")
    services.set_desk_state(state="active", by=None, reason="")
    recovery.look_up(entry.pk)
    entry, stop = reload(entry, stop)
    assert (entry.state, entry.reason, stop.state) == ("canceled", "the desk is halted: stop", "canceled")
    assert not PaperOrder.objects.exists()


def test_exits_only_withdraws_entries_too_by_hand_and_by_the_loss_of_a_day():
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    services.set_desk_state(state="reducing", by=None, reason="news")
    recovery.sweep()
    assert facts(entry) == ("canceled", 4)
    services.set_desk_state(state="active", by=None, reason="")
    other = make_instrument("ETHUSDT")
    add_candle(other, -1, "100", "100", "100", "100", volume="16")
    entry, *_ = enter(connection, other)
    Desk.objects.update(max_daily_loss_pct=Decimal("0.01"))
    set_price(instrument, "90", timezone.now())
    equity.mark_equity(connection)
    assert Desk.objects.get().state == "reducing"
    assert "daily loss" in reload(entry)[0].cancel_reason
    recovery.sweep()
    assert facts(entry) == ("canceled", 4)


def test_stops_and_targets_are_not_withdrawn():
    connection, instrument = make_connection(), make_instrument()
    _, stop, target = enter(connection, instrument, stop="95", target="110")
    services.set_desk_state(state="halted", by=None, reason="stop")
    recovery.sweep()
    assert [(leg.state, leg.cancel_requested_at) for leg in reload(stop, target)] == [("accepted", None)] * 2


def test_a_persons_cancel_that_fails_is_kept_with_its_error_and_repeated(deaf):
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    assert "until it has ended" in services.cancel_order(order=entry, by=None)
    cancelling.cancel(entry.pk)
    assert reload(entry)[0].reason == "not cancelled yet: time-out"
    deaf[:] = ["listens"]
    recovery.sweep()
    [entry] = reload(entry)
    assert (entry.state, entry.filled_quantity, entry.cancel_reason) == ("canceled", 4, "cancelled by the desk")
    assert entry.cancel_requested_at is not None


def test_an_adapter_that_fails_at_one_cancel_does_not_keep_the_others_waiting(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    first = part_filled(connection, instrument)
    other = make_instrument("ETHUSDT")
    add_candle(other, -1, "100", "100", "100", "100", volume="16")
    second, *_ = enter(connection, other)
    cancel = PaperBroker.cancel

    def broken(self: PaperBroker, client_order_id: str) -> VenueOrder:
        if client_order_id == first.client_order_id:
            raise KeyError("orderId")
        return cancel(self, client_order_id)

    monkeypatch.setattr(PaperBroker, "cancel", broken)
    services.set_desk_state(state="halted", by=None, reason="stop")
    assert reload(first)[0].reason == "not cancelled yet: KeyError: 'orderId'"
    assert facts(second) == ("canceled", 4)


def test_a_task_whose_time_is_over_blames_no_order(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    cancelling.request_cancel(entry.pk, "enough")
    monkeypatch.setattr(PaperBroker, "cancel", raise_soft_limit)
    with pytest.raises(SoftTimeLimitExceeded):
        cancelling.repeat_cancels()
    [order] = reload(entry)
    assert (order.state, order.reason) == ("partially_filled", "")


def test_a_venue_that_only_takes_note_of_a_cancel_is_asked_once_per_sweep(monkeypatch):
    """Its answer is that the order still works. That must not nudge the next cancel, and so on for ever."""
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    asked: list[str] = []

    def noted(self: PaperBroker, client_order_id: str) -> VenueOrder | None:
        asked.append(client_order_id)
        return self.lookup(client_order_id)

    monkeypatch.setattr(PaperBroker, "cancel", noted)
    services.cancel_order(order=entry, by=None)
    monkeypatch.setattr(events, "nudge", lambda task, row: cancelling.cancel(row))
    recovery.sweep()
    recovery.sweep()
    assert len(asked) == 2


def test_a_cancel_of_an_order_on_its_way_is_asked_for_when_its_answer_is_there(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    thin(instrument)
    [entry] = plan(connection, instrument)
    claim = execution.claim_order(entry.pk)
    assert "as soon as it is known" in services.cancel_order(order=entry, by=None)
    nudged = []
    monkeypatch.setattr(events, "nudge", lambda task, row: nudged.append((task, row)))
    execution.write_answer(claim, execution.call_venue(claim))
    assert ("brokers.cancel_order", entry.pk) in nudged
    cancelling.cancel(entry.pk)
    assert facts(entry) == ("canceled", 4)


def test_the_venue_fills_nothing_whose_cancel_it_has_recorded():
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    PaperBroker(connection).cancel(entry.client_order_id)  # the answer is lost: here the order still works
    add_candle(instrument, 0, "100", "100", "100", "100")
    let_match(connection, instrument)
    assert facts(entry) == ("canceled", 4)
    assert PaperOrder.objects.get().filled_quantity == 4


def test_the_reason_of_the_first_who_wanted_the_cancel_stays(deaf):
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    services.cancel_order(order=entry, by=None)
    at = reload(entry)[0].cancel_requested_at
    services.set_desk_state(state="halted", by=None, reason="stop")
    [entry] = reload(entry)
    assert (entry.cancel_reason, entry.cancel_requested_at) == ("cancelled by the desk", at)


def test_a_cancel_is_not_wanted_of_what_never_left_or_is_over():
    connection, instrument = make_connection(), make_instrument()
    waiting, *_ = plan(connection, instrument)
    over, *_ = enter(connection, instrument)
    assert [cancelling.request_cancel(order.pk, "why") for order in (waiting, over)] == [False, False]
    assert not Order.objects.exclude(cancel_requested_at=None).exists()


def test_a_close_takes_along_what_an_entry_fills_until_it_has_ended():
    """4 of 10 are held; before the venue hears of the cancel 3 more fill: the exit is for all 7."""
    connection, instrument = make_connection(), make_instrument()
    entry = part_filled(connection, instrument)
    exit_ = services.close_position(connection=connection, instrument=instrument, by=None)
    assert reload(entry)[0].cancel_reason == "closed by the desk"
    add_candle(instrument, 0, "100", "100", "100", "100", volume="12")
    let_match(connection, instrument)
    execution.submit(exit_.pk)
    assert facts(exit_) == ("pending", 0)
    recovery.sweep()
    add_candle(instrument, 1, "100", "100", "100", "100")
    execution.submit(exit_.pk)
    [exit_] = reload(exit_)
    assert facts(entry) == ("canceled", 7)
    assert (exit_.state, exit_.quantity, exit_.filled_quantity) == ("filled", 7, 7)
    assert Position.objects.get().quantity == 0


def test_an_add_that_never_arrived_does_not_leave_after_the_close():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    lose_next_answer(connection, arrives=False)
    add, stop = enter(connection, instrument, stop="95")
    assert add.state == "unknown"
    exit_ = services.close_position(connection=connection, instrument=instrument, by=None)
    execution.submit(exit_.pk)
    assert (facts(exit_)[1], Position.objects.get().quantity) == (10, 0)
    recovery.look_up(add.pk)
    add, stop = reload(add, stop)
    assert (add.state, stop.state) == ("canceled", "canceled")
    assert Position.objects.get().quantity == 0


def test_an_entry_that_the_close_could_not_see_yet_does_not_leave_after_it(monkeypatch):
    """It was planned first and committed last: nothing withdrew it."""
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    monkeypatch.setattr(services, "cancel_entries", lambda **_: None)
    [add] = plan(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    for order in (exit_, add):
        execution.submit(order.pk)
    assert [order.state for order in reload(exit_, add)] == ["filled", "canceled"]
    assert add.reason == "the position was closed before it left"
    assert Position.objects.get().quantity == 0


def test_an_entry_right_after_a_close_waits_for_it_and_keeps_its_own_bracket():
    connection, instrument = make_connection(), make_instrument()
    _, old_stop = enter(connection, instrument, stop="95")
    exit_ = plan_exit(connection, instrument)
    entry, stop = plan(connection, instrument, stop="80")
    execution.submit(entry.pk)
    assert facts(entry) == ("pending", 0)
    execution.submit(exit_.pk)
    execution.submit(entry.pk)
    sync.sync_connection(connection.pk)
    assert (facts(entry), facts(old_stop)[0], facts(stop)[0]) == (("filled", 10), "canceled", "accepted")
    add_candle(instrument, 0, "100", "100", "90", "100")
    let_match(connection, instrument)
    assert Position.objects.get().quantity == 10


def test_an_entry_that_did_not_see_the_close_when_it_was_planned_waits_for_it_too():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument, stop="95")
    exit_ = plan_exit(connection, instrument)
    entry, *_ = plan(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(after=None)
    execution.submit(entry.pk)
    assert facts(entry) == ("pending", 0)
    assert pre_submit.check_before_submit(reload(entry)[0], selectors.desk(), timezone.now()).outcome == "wait"
    execution.submit(exit_.pk)
    execution.submit(entry.pk)
    assert facts(entry) == ("filled", 10)
