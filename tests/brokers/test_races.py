"""Several workers at once: one call per order, nothing after HALT, no lost update and no deadlock."""

import time
from decimal import Decimal

import pytest

from brokers import services, sync
from brokers.contract import VenueOrder
from brokers.ledger import reconcile
from brokers.models import Connection, Fill, Order, Position
from brokers.orders import execution, pre_submit, reports
from brokers.venues.paper import matching
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperOrder
from tests.support.brokers import add_candle, enter, make_connection, make_instrument, plan
from tests.support.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, float]]:
    """The orders that reached the venue, with the time of the call; each takes a few milliseconds."""
    seen: list[tuple[str, float]] = []
    submit = PaperBroker.submit

    def slow(self: PaperBroker, request) -> VenueOrder:
        seen.append((request.client_order_id, time.monotonic()))
        time.sleep(0.005)
        return submit(self, request)

    monkeypatch.setattr(PaperBroker, "submit", slow)
    return seen


def test_many_workers_with_the_same_order_call_the_venue_once(calls):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    in_threads(*[lambda: execution.submit(entry.pk)] * 6)
    entry.refresh_from_db()
    assert (len(calls), entry.state, Fill.objects.count()) == (1, "filled", 1)


def test_after_halt_returns_nothing_is_sent(calls):
    connection, instrument = make_connection(), make_instrument()
    orders = [plan(connection, instrument, quantity="1")[0] for _ in range(20)]
    halted_at = []

    def halt() -> None:
        time.sleep(0.03)
        services.set_desk_state(state="halted", by=None, reason="stop")
        halted_at.append(time.monotonic())

    lanes = [orders[lane::4] for lane in range(4)]
    in_threads(halt, *[lambda lane=lane: [execution.submit(order.pk) for order in lane] for lane in lanes])
    states = set(Order.objects.values_list("state", flat=True))
    assert states == {"filled", "denied"}
    assert all(called < halted_at[0] for _, called in calls)
    assert len(calls) == Order.objects.filter(state="filled").count() == PaperOrder.objects.count()


def test_halt_waits_for_the_answer_of_what_was_already_claimed(calls):
    connection, instrument = make_connection(latency_ms=300), make_instrument()
    [entry] = plan(connection, instrument)

    def halt() -> str:
        time.sleep(0.1)
        services.set_desk_state(state="halted", by=None, reason="stop")
        return Order.objects.values_list("state", flat=True).get()

    _, seen = in_threads(lambda: execution.submit(entry.pk), halt)
    assert seen == "filled"


def test_halt_comes_before_or_after_a_claim_and_never_in_between(calls, monkeypatch):
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    judge = pre_submit.check_before_submit

    def slow(*arguments):
        verdict = judge(*arguments)
        time.sleep(0.4)  # judged, and not claimed yet
        return verdict

    monkeypatch.setattr(pre_submit, "check_before_submit", slow)

    def halt() -> float:
        time.sleep(0.15)
        services.set_desk_state(state="halted", by=None, reason="stop")
        return time.monotonic()

    _, halted_at = in_threads(lambda: execution.submit(entry.pk), halt)
    assert [called < halted_at for _, called in calls] == [True]


def test_limits_hold_against_entries_that_are_claimed_at_the_same_moment(calls):
    connection, instrument = make_connection(), make_instrument()
    orders = [plan(connection, instrument, quantity="50")[0] for _ in range(8)]
    in_threads(*[lambda order=order: execution.submit(order.pk) for order in orders])
    assert Position.objects.get().quantity * 100 <= Decimal(25_000)
    assert Order.objects.filter(state="denied").count() == 3


def test_the_same_news_told_by_many_at_once_is_recorded_once():
    connection, instrument = make_connection(faults={"timeout_after": 1}), make_instrument()
    entry, *_ = enter(connection, instrument, stop="95")
    told = PaperBroker(connection).lookup(entry.client_order_id)
    record = lambda: reports.record(Connection.objects.get(), told)  # noqa: E731
    in_threads(record, record, record, *[lambda: sync.sync_connection(connection.pk)] * 3)
    entry.refresh_from_db()
    assert (entry.state, Fill.objects.count(), Position.objects.get().quantity) == ("filled", 1, 10)


def test_a_busy_desk_neither_deadlocks_nor_loses_anything():
    """Entries, exits, candles and syncs of three instruments from many workers; then the books must agree."""
    connection = make_connection(fee_bps=5)
    instruments = [make_instrument(f"{name}USDT") for name in ("BTC", "ETH", "XRP")]

    def trade(instrument) -> None:
        for number in range(6):
            enter(connection, instrument, quantity="5", stop="95", target="110")
            if number % 2:
                exit_ = services.close_position(connection=connection, instrument=instrument, by=None)
                if exit_:
                    execution.submit(exit_.pk)

    def candles() -> None:
        for number in range(6):
            for instrument in instruments:
                add_candle(instrument, number, "100", "111" if number % 2 else "101", "99", "100")
                matching.match_instrument(instrument.pk)

    def syncs() -> None:
        for _ in range(15):
            sync.sync_connection(connection.pk)

    jobs = [lambda instrument=instrument: trade(instrument) for instrument in instruments]
    in_threads(*jobs, candles, syncs, syncs)
    sync.sync_connection(connection.pk)
    assert reconcile.differences(connection) == []
    assert Fill.objects.count() > 20
