"""The desk's state under changes at once, and what each change of an order announces."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connections
from django.utils import timezone

from algotrendy.history.models import Change
from brokers import desk_state, services, signals, task_names
from brokers.contract import Execution, VenueOrder, VenueUnavailable
from brokers.models import Desk, Order
from brokers.orders import cancelling, execution, reports
from brokers.venues.paper.broker import PaperBroker
from tests.support.brokers import START, add_candle, let_match, make_connection, make_instrument, plan
from tests.support.locks import held_elsewhere, until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


def while_another_changes(changes: dict, job) -> None:
    """Run `job` so that it meets a change of the desk's row that is not committed yet, and commit that."""

    def run() -> None:
        try:
            job()
        finally:
            connections.close_all()

    Desk.objects.get_or_create(pk=1)
    with held_elsewhere(lambda: Desk.objects.filter(pk=1).update(**changes)) as end:
        thread = threading.Thread(target=run)
        thread.start()
        until_somebody_waits()
        end()
        thread.join(60)


def texts() -> list[str]:
    return list(Change.objects.order_by("id").values_list("text", flat=True))


def test_the_history_says_from_which_state_a_halt_really_came():
    halt = lambda: services.set_desk_state(state="halted", by=None, reason="stop")  # noqa: E731
    while_another_changes({"state": "reducing", "reason": "news"}, halt)
    assert (Desk.objects.get().state, Desk.objects.get().reason) == ("halted", "stop")
    labels = dict(Desk.State.choices)
    assert texts() == [f"{labels['reducing']} → {labels['halted']}: stop"]


def test_who_does_not_know_of_a_halt_does_not_end_it():
    services.set_desk_state(state="halted", by=None, reason="stop")
    for state in ("active", "reducing"):
        with pytest.raises(desk_state.DeskHalted):
            services.set_desk_state(state=state, by=None, reason="news", from_halted=False)
    assert (Desk.objects.get().state, Desk.objects.get().reason) == ("halted", "stop")
    services.set_desk_state(state="halted", by=None, reason="again", from_halted=False)
    assert Desk.objects.get().reason == "again"


def test_a_halt_that_is_being_committed_is_not_ended_by_who_does_not_know_of_it():
    refused: list[bool] = []

    def loosen() -> None:
        try:
            services.set_desk_state(state="reducing", by=None, reason="news", from_halted=False)
        except desk_state.DeskHalted:
            refused.append(True)

    while_another_changes({"state": "halted", "reason": "stop"}, loosen)
    assert (refused, Desk.objects.get().state, Desk.objects.get().reason) == ([True], "halted", "stop")


def test_the_history_has_changes_of_state_and_no_repetition():
    for reason in ("stop", "still"):
        services.set_desk_state(state="halted", by=None, reason=reason)
    labels = dict(Desk.State.choices)
    assert texts() == [f"{labels['active']} → {labels['halted']}: stop"]


def test_a_state_that_was_prolonged_while_its_end_was_looked_at_does_not_end():
    past = timezone.now() - timedelta(seconds=1)
    services.set_desk_state(state="reducing", by=None, reason="lunch", until=past)
    Change.objects.all().delete()
    ended: list[bool] = []
    while_another_changes({"state": "halted", "until": None}, lambda: ended.append(desk_state.end_expired()))
    assert (ended, Desk.objects.get().state, texts()) == ([False], "halted", [])


def test_the_history_says_from_which_state_the_desk_came_back_by_itself():
    past = timezone.now() - timedelta(seconds=1)
    services.set_desk_state(state="reducing", by=None, reason="lunch", until=past)
    Change.objects.all().delete()
    while_another_changes({"state": "halted"}, desk_state.end_expired)
    labels = dict(Desk.State.choices)
    assert texts() == [f"{labels['halted']} → {labels['active']}: its time was over"]


def test_a_halt_does_not_wait_for_ever_for_an_answer(monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    execution.claim_order(entry.pk)
    ticks = iter([0.0, 1.0, desk_state.DRAIN_SECONDS, desk_state.DRAIN_SECONDS + 0.1])
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: next(ticks), sleep=slept.append)
    monkeypatch.setattr(desk_state, "time", clock)
    services.set_desk_state(state="halted", by=None, reason="stop")
    assert slept == [0.02, 0.02]


@pytest.fixture
def announced():
    """What is announced of orders, fills, trades and the desk, in its order."""
    seen: list[tuple[str, object]] = []

    def receive_order(order_id: int, state: str, **_: object) -> None:
        seen.append(("order", (order_id, str(state))))

    def receive_fill(order_id: int, **_: object) -> None:
        seen.append(("fill", order_id))

    def receive_trade(**_: object) -> None:
        seen.append(("trade", None))

    def receive_desk(state: str, **_: object) -> None:
        seen.append(("desk", str(state)))

    pairs = [
        (signals.order_changed, receive_order),
        (signals.fill_recorded, receive_fill),
        (signals.trade_closed, receive_trade),
        (signals.desk_changed, receive_desk),
    ]
    for signal, receiver in pairs:
        signal.connect(receiver)
    yield seen
    for signal, receiver in pairs:
        signal.disconnect(receiver)


def test_each_step_of_an_order_is_announced_once(announced):
    connection, instrument = make_connection(), make_instrument()
    entry, _stop, target = plan(connection, instrument, stop="95", target="110")
    announced.clear()  # that they were planned
    execution.submit(entry.pk)
    assert announced == [("fill", entry.pk), ("order", (entry.pk, "filled"))]
    announced.clear()
    add_candle(instrument, 0, "100", "111", "100", "110")
    let_match(connection, instrument)
    assert ("order", (target.pk, "filled")) in announced
    assert announced.count(("fill", target.pk)) == announced.count(("trade", None)) == 1


def test_a_further_part_of_a_fill_is_announced_although_the_state_stays(announced):
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    [entry] = plan(connection, instrument)
    execution.submit(entry.pk)
    announced.clear()
    add_candle(instrument, 0, "100", "100", "100", "100", volume="8")
    let_match(connection, instrument)
    assert Order.objects.get(pk=entry.pk).state == "partially_filled"
    assert announced == [("fill", entry.pk), ("order", (entry.pk, "partially_filled"))]


def test_a_wanted_cancel_is_announced_and_nudged(announced, monkeypatch):
    nudged: list[tuple[str, int]] = []
    monkeypatch.setattr("algotrendy.events.nudge", lambda task, row: nudged.append((task, row)))
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    execution.claim_order(entry.pk)
    announced.clear()
    assert cancelling.request_cancel(entry.pk, "why")
    assert announced == [("order", (entry.pk, "submitting"))]
    assert nudged == [(task_names.CANCEL, entry.pk)]


def test_a_cancel_that_fails_is_announced_when_its_reason_is_new(announced, monkeypatch):
    monkeypatch.setattr("algotrendy.events.nudge", lambda *_: True)
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    [entry] = plan(connection, instrument)
    execution.submit(entry.pk)
    cancelling.request_cancel(entry.pk, "why")
    reasons = iter(["away", "away", "still away"])

    def fail(*_: object) -> None:
        raise VenueUnavailable(next(reasons))

    monkeypatch.setattr(PaperBroker, "cancel", fail)
    announced.clear()
    for _ in range(3):
        cancelling.cancel(entry.pk)
    assert announced == [("order", (entry.pk, "partially_filled"))] * 2


def test_cancels_that_take_too_long_are_left_to_the_next_sweep(monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(cancelling, "_wanted", lambda: SimpleNamespace(order_by=lambda _: listed))
    listed = SimpleNamespace(values_list=lambda *_, **__: [1, 2, 3])
    monkeypatch.setattr(cancelling, "cancel", asked.append)
    ticks = iter([0.0, 1.0, 2.1])
    monkeypatch.setattr(cancelling, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    cancelling.repeat_cancels(seconds=2)
    assert asked == [1]


def test_a_refusal_and_a_denial_are_announced(announced):
    connection, instrument = make_connection(), make_instrument()
    [first], [second] = plan(connection, instrument), plan(connection, instrument)
    announced.clear()  # that they were planned
    execution.write_answer(execution.claim_order(first.pk), execution.Refusal("no"))
    services.set_desk_state(state="halted", by=None, reason="stop")
    execution.submit(second.pk)
    assert announced == [
        ("order", (first.pk, "rejected")),
        ("desk", "halted"),
        ("order", (second.pk, "denied")),
    ]


def test_each_change_of_the_desk_is_announced(announced):
    Desk.objects.get_or_create(pk=1)
    desk_state.reduce_until_midnight("lost too much")
    desk_state.reduce_until_midnight("again")
    Desk.objects.update(until=timezone.now())
    desk_state.end_expired()
    desk_state.end_expired()
    desk_state.save_limits(desk=Desk.objects.get(), names=["max_order_pct"])
    assert announced == [("desk", "reducing"), ("desk", "active"), ("desk", "active")]


def test_a_report_that_changes_nothing_is_left_out_of_a_batch():
    connection, instrument = make_connection(), make_instrument()
    entry, *_ = plan(connection, instrument)
    execution.submit(entry.pk)
    entry.refresh_from_db()
    known = execution.registry.adapter(connection).lookup(entry.client_order_id)
    assert reports._would_change(entry, known) is False
    assert reports._would_change(None, known) is False
    entry.state = "partially_filled"
    assert reports._would_change(entry, known) is True


def test_a_leg_that_is_filled_with_less_than_we_know_of_is_news():
    connection, instrument = make_connection(), make_instrument()
    leg = plan(connection, instrument, stop="95")[1]
    leg.state, leg.filled_quantity, leg.venue_order_id = "partially_filled", Decimal(4), "v1"
    part = Execution("x1", leg.client_order_id, "BTCUSDT", leg.side, Decimal(4), Decimal(95), Decimal(0), START)
    known = VenueOrder(leg.client_order_id, "v1", "partially_filled", executions=(part,))
    assert reports._would_change(leg, known) is False
    assert reports._would_change(leg, replace(known, state="filled")) is True


def test_entries_are_kept_out_once_the_reduced_state_is_there_to_be_read(monkeypatch):
    """Before the commit a worker that claims an entry would still read an active desk."""
    states: list[tuple[bool, str]] = []

    def look() -> None:
        states.append((connections["default"].in_atomic_block, Desk.objects.get().state))

    monkeypatch.setattr(desk_state, "keep_entries_out", look)
    Desk.objects.get_or_create(pk=1)
    assert desk_state.reduce_until_midnight("the day's limit")
    assert states == [(False, "reducing")]
