"""An order's whole way at a venue that is not paper: generic code asks the venue, and no paper code runs."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from algotrendy import events
from brokers import receivers, selectors, services, sync
from brokers.contract import BrokerError
from brokers.ledger import erasing, reconcile
from brokers.models import Connection, Fill, Order, Position, Trade
from brokers.orders import execution, recovery
from brokers.venues import registry
from brokers.venues.names import DEFAULT_VENUE
from dashboard.selectors import accounts
from market.models import Instrument
from memory.decision_context import gather
from memory.trade_signal import TradeSignal
from tests.support import fake_venue
from tests.support.brokers import enter, make_instrument, plan, plan_exit, reload

pytestmark = pytest.mark.django_db(transaction=True)

PAPER = "brokers.venues.paper"
WAYS_IN = ("broker.PaperBroker.__init__", "options.PaperOptions.of", "book.place", "local.LocalPaper.has_work",
           "local.LocalPaper.on_candle", "local.LocalPaper.on_sweep", "local.LocalPaper.erase")  # fmt: skip


def _must_not_run(*_: object, **__: object) -> None:
    raise AssertionError("paper code ran for an order of another venue")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection at the only venue there is, which is not paper."""
    monkeypatch.setattr(registry, "VENUES", {fake_venue.NAME: fake_venue.VENUE})
    for name in WAYS_IN:
        monkeypatch.setattr(f"{PAPER}.{name}", _must_not_run)
    yield Connection.objects.create(name="second", venue=fake_venue.NAME, mode=Connection.Mode.LIVE)
    fake_venue.ACCOUNTS.clear()


@pytest.fixture
def instrument() -> Instrument:
    return make_instrument(fake_venue.SYMBOL)


def state_of(order: Order) -> str:
    return Order.objects.values_list("state", flat=True).get(pk=order.pk)


def test_an_order_is_accepted_first_and_its_fill_comes_with_the_updates(
    connection: Connection, instrument: Instrument
) -> None:
    entry, *legs = enter(connection, instrument, stop="95", target="110")
    assert (entry.state, Fill.objects.count()) == ("accepted", 0)
    fake_venue.account_of(connection).settle()
    assert sync.sync_connection(connection.pk)
    entry, *legs = reload(entry, *legs)
    assert (entry.state, entry.filled_quantity, entry.fees) == ("filled", 10, 1)
    assert [leg.state for leg in legs] == ["accepted", "accepted"]
    assert Position.objects.get().quantity == 10
    assert selectors.equity(connection).equity == Decimal(99_999)
    assert reconcile.differences(connection) == []


def test_the_desk_ends_the_other_leg_where_the_venue_does_not(
    connection: Connection, instrument: Instrument
) -> None:
    _, stop, target = enter(connection, instrument, stop="95", target="110")
    venue = fake_venue.account_of(connection)
    venue.settle()
    sync.sync_connection(connection.pk)
    venue.move(Decimal(94))
    sync.sync_connection(connection.pk)
    assert (state_of(stop), state_of(target)) == ("filled", "canceled")
    assert (Trade.objects.get().state, Position.objects.get().quantity) == ("closed", 0)
    assert not any(order.is_open for order in venue.orders.values())
    assert reconcile.differences(connection) == []


def test_an_exit_closes_what_the_venue_holds(connection: Connection, instrument: Instrument) -> None:
    enter(connection, instrument)
    venue = fake_venue.account_of(connection)
    venue.settle()
    recovery.sweep()
    exit_ = plan_exit(connection, instrument)
    execution.submit(exit_.pk)
    venue.settle()
    recovery.sweep()
    assert (state_of(exit_), Position.objects.get().quantity, venue.held) == ("filled", 0, 0)


def test_an_order_that_can_not_be_found_goes_to_a_person_and_is_not_sent_again(
    connection: Connection, instrument: Instrument
) -> None:
    venue = fake_venue.account_of(connection)
    venue.lost_answer = "before"
    [entry] = enter(connection, instrument)
    for _ in range(recovery.LOOKUPS):
        assert state_of(entry) == "unknown"
        recovery.look_up(entry.pk)
    assert (state_of(entry), venue.orders) == ("needs_review", {})


def test_an_answer_that_was_lost_after_arrival_is_found_by_the_sweep(
    connection: Connection, instrument: Instrument
) -> None:
    fake_venue.account_of(connection).lost_answer = "after"
    [entry] = enter(connection, instrument)
    assert entry.state == "unknown"
    Order.objects.update(updated_at=timezone.now() - timedelta(seconds=2))
    recovery.sweep()
    assert state_of(entry) == "accepted"


def test_a_decision_is_made_with_the_costs_of_its_own_venue(
    connection: Connection, instrument: Instrument, django_assert_num_queries
) -> None:
    now = timezone.now()
    context, _, _ = gather(
        TradeSignal(
            key="alert-1", source="ema", policy="follow", connection=connection, instrument=instrument,
            intent="long", price=Decimal(100), quantity=None, sizing="risk", risk_pct=Decimal(1), notional=None,
            allow_short=True, stale=False, stale_reason="", good_until=None, received_at=now,
        )
    )  # fmt: skip
    assert context.cost == pytest.approx(0.002)
    with django_assert_num_queries(0):
        assert selectors.round_trip_cost(connection) == Decimal("0.002")


def test_its_page_lists_its_own_settings(connection: Connection, instrument: Instrument) -> None:
    [setting] = accounts.account_of(connection).settings
    assert (setting.label, setting.value, setting.unit) == ("Commission", Decimal("0.1"), "%")


def test_candles_ask_nothing_of_a_venue_that_has_its_own_clock(
    connection: Connection, instrument: Instrument, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries
) -> None:
    nudged: list[object] = []
    monkeypatch.setattr("brokers.receivers.nudge", lambda *task: nudged.append(task))
    enter(connection, instrument, stop="95")
    with django_assert_num_queries(0):
        receivers.match_soon(instrument_id=instrument.pk)
    assert nudged == []


def test_a_candle_costs_the_feed_one_query_for_each_local_venue(
    instrument: Instrument, django_assert_num_queries
) -> None:
    with django_assert_num_queries(1):
        receivers.match_soon(instrument_id=instrument.pk)


def test_its_books_are_not_ours_to_empty(connection: Connection) -> None:
    assert not erasing.can_erase(connection)
    with pytest.raises(LookupError):
        erasing.erase(connection)


def test_a_connection_can_be_cancelled_and_closed_by_the_services(
    connection: Connection, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "nudge", lambda *_: True)
    [entry] = enter(connection, instrument)
    fake_venue.account_of(connection).settle()
    sync.sync_connection(connection.pk)
    [waiting] = plan(connection, instrument)
    exit_ = services.close_position(connection=connection, instrument=instrument, by=None)
    assert exit_ is not None
    execution.submit(exit_.pk)
    fake_venue.account_of(connection).settle()
    sync.sync_connection(connection.pk)
    assert (state_of(entry), state_of(waiting), state_of(exit_)) == ("filled", "canceled", "filled")


def test_a_venue_that_nobody_has_written_has_no_costs_and_no_settings(connection: Connection) -> None:
    connection.venue = "nowhere"
    with pytest.raises(BrokerError, match="there is no adapter for 'nowhere'; known are fake"):
        selectors.round_trip_cost(connection)
    assert selectors.settings_summary(connection) == ()


def test_the_default_venue_is_one_that_is_registered() -> None:
    assert DEFAULT_VENUE in registry.VENUES
    assert services.ensure_default_connection().venue == DEFAULT_VENUE
    assert services.ensure_default_connection() == Connection.objects.get()
