"""The paper venue: prices, costs, candles, and books that are complete after any interruption."""

import contextlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algotrendy.isolation.models import RowFailure
from brokers.contract import OrderRejected, OutcomeUnknown, VenueUnavailable
from brokers.venues.paper import book, matching
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperAccount, PaperExecution, PaperHolding, PaperOrder
from brokers.venues.paper.options import PaperOptions
from market.models import Quote
from tests.support.broker_contract import bracket, filled, request
from tests.support.brokers import START, add_candle, make_connection, make_instrument, set_price

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_failure(db):
    """Whatever happens here is part of a market's day, and no row's failure."""
    yield
    assert not RowFailure.objects.exists()


def execution_of(broker, order):
    return broker.lookup(order.client_order_id).executions[-1]


def test_a_market_order_pays_half_the_spread_and_slippage_and_a_fee():
    instrument = make_instrument(price="10000")
    broker = PaperBroker(make_connection(spread_bps=2, slippage_bps=1, fee_bps=5, leverage=9))
    bought = broker.submit(request()).executions[0]
    sold = broker.submit(request(side="sell")).executions[0]
    assert (bought.price, bought.fee) == (Decimal(10_002), Decimal("10.002"))
    assert (sold.price, sold.executed_at) == (Decimal(9998), START)
    assert instrument.symbol == bought.symbol


def test_prices_are_rounded_to_ticks_against_the_trader():
    make_instrument(price="100.01")
    broker = PaperBroker(make_connection(spread_bps=2))
    assert broker.submit(request()).executions[0].price == Decimal("100.03")
    assert broker.submit(request(side="sell")).executions[0].price == Decimal("99.99")


def test_quantities_are_rounded_down_to_steps():
    make_instrument()
    told = PaperBroker(make_connection()).submit(request(quantity=Decimal("1.23456")))
    assert filled(told) == Decimal("1.234")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "NOPE"}, "not traded"),
        ({"quantity": Decimal("0.0001")}, "below one step"),
        ({"quantity": Decimal("0.01")}, "below the minimum"),
        ({"quantity": Decimal(1001)}, "insufficient equity"),
        ({"type": "limit"}, "needs a limit price"),
        ({"type": "stop"}, "needs a stop price"),
        ({"side": "sell", "reduce_only": True}, "nothing to reduce"),
    ],
)
def test_refusals_say_why_and_can_be_looked_up(changes, reason):
    make_instrument()
    broker, asked = PaperBroker(make_connection()), request(**changes)
    with pytest.raises(OrderRejected, match=reason):
        broker.submit(asked)
    assert reason in broker.lookup(asked.client_order_id).reason


def test_equity_counts_what_is_held_at_its_last_price():
    instrument = make_instrument()
    broker = PaperBroker(make_connection(equity="1000"))
    broker.submit(request(quantity=Decimal(10)))
    with pytest.raises(OrderRejected, match="insufficient equity"):
        broker.submit(request(quantity=Decimal(1)))
    set_price(instrument, "200", START)
    make_instrument("ETHUSDT", "1")
    with pytest.raises(OrderRejected, match=r"2006\.00 would be held, 2000\.00"):
        broker.submit(request(symbol="ETHUSDT", quantity=Decimal(6)))


def test_nobody_enters_at_an_old_price_but_everybody_may_leave():
    make_instrument()
    broker = PaperBroker(make_connection())
    broker.submit(request())
    Quote.objects.update(received_at=timezone.now() - timedelta(minutes=10))
    with pytest.raises(OrderRejected, match="last price"):
        broker.submit(request())
    assert broker.submit(request(side="sell", reduce_only=True)).state == "filled"


def test_a_stop_fills_at_its_price_and_after_a_gap_at_the_open():
    instrument = make_instrument()
    broker = PaperBroker(make_connection())
    orders = [bracket() for _ in range(2)]
    broker.submit(orders[0][0])
    add_candle(instrument, 0, "99", "100", "94", "96")
    matching.match_instrument(instrument.pk)
    assert execution_of(broker, orders[0][1]).price == 95
    broker.submit(orders[1][0])
    add_candle(instrument, 1, "90", "91", "89", "90")
    matching.match_instrument(instrument.pk)
    gap = execution_of(broker, orders[1][1])
    assert (gap.price, gap.executed_at) == (90, START + timedelta(seconds=60))


def test_when_a_candle_touches_both_the_stop_came_first():
    instrument = make_instrument()
    broker, (asked, stop, target) = PaperBroker(make_connection()), bracket()
    broker.submit(asked)
    add_candle(instrument, 0, "100", "120", "90", "100")
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "filled"
    assert broker.lookup(target.client_order_id).state == "canceled"


def test_a_short_is_stopped_from_above():
    instrument = make_instrument()
    broker = PaperBroker(make_connection())
    leg = request(side="buy", type="stop", stop_price=Decimal(105), reduce_only=True)
    broker.submit(request(side="sell", legs=(leg,)))
    add_candle(instrument, 0, "100", "106", "100", "101")
    matching.match_instrument(instrument.pk)
    assert execution_of(broker, leg).price == 105
    assert broker.positions() == ()


def test_a_candle_that_was_closed_when_the_order_came_is_not_matched():
    instrument = make_instrument()
    broker, (asked, stop, _) = PaperBroker(make_connection()), bracket()
    add_candle(instrument, 0, "100", "100", "90", "100")
    broker.submit(asked)
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "accepted"


def test_a_candle_from_the_future_of_a_replay_is_not_matched():
    """Under replay later candles are stored already; the market's clock says which have happened."""
    instrument = make_instrument()
    broker, (asked, stop, _) = PaperBroker(make_connection()), bracket()
    broker.submit(asked)
    add_candle(instrument, 0, "100", "100", "90", "100")
    set_price(instrument, "100", START + timedelta(seconds=59))
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "accepted"
    set_price(instrument, "100", START + timedelta(seconds=60))
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "filled"


def test_volume_limits_each_candle_and_the_rest_fills_on_later_ones():
    instrument = make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="8")
    broker, asked = PaperBroker(make_connection()), request(quantity=Decimal(5))
    assert filled(broker.submit(asked)) == 2
    for number, (price, total) in enumerate([("101", 4), ("102", 5)]):
        add_candle(instrument, number, price, price, price, price, volume="8")
        matching.match_instrument(instrument.pk)
        told = broker.lookup(asked.client_order_id)
        assert (filled(told), told.executions[-1].price) == (total, Decimal(price))
    assert told.state == "filled"


def test_a_stop_that_ran_out_of_volume_goes_on_at_market():
    instrument = make_instrument()
    broker, (asked, stop, target) = PaperBroker(make_connection()), bracket(quantity="10")
    broker.submit(asked)
    add_candle(instrument, 0, "96", "96", "95", "96", volume="16")
    add_candle(instrument, 1, "97", "98", "96", "97")
    matching.match_instrument(instrument.pk)
    told = broker.lookup(stop.client_order_id)
    assert [(deal.quantity, deal.price) for deal in told.executions] == [(4, 95), (6, 97)]
    assert broker.lookup(target.client_order_id).state == "canceled"


def test_an_entry_that_fills_at_the_open_can_be_stopped_in_the_same_candle():
    instrument = make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="0.001")
    broker, (asked, stop, _) = PaperBroker(make_connection()), bracket()
    assert broker.submit(asked).state == "accepted"
    add_candle(instrument, 0, "100", "100", "90", "92")
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "filled"


def test_a_stop_ends_the_part_of_its_entry_that_has_not_filled_yet():
    instrument = make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    broker, (asked, stop, target) = (
        PaperBroker(make_connection()),
        bracket(quantity="10", type="limit", limit_price=Decimal(98)),
    )
    broker.submit(asked)
    add_candle(instrument, 0, "98", "98", "98", "98", volume="16")
    add_candle(instrument, 1, "99", "111", "99", "111")
    matching.match_instrument(instrument.pk)
    states = [broker.lookup(order.client_order_id).state for order in (asked, stop, target)]
    assert states == ["canceled", "canceled", "filled"]
    assert broker.positions() == ()


def test_what_a_stop_has_ended_does_not_fill_in_the_same_candle():
    instrument = make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    broker, (asked, stop, _) = (
        PaperBroker(make_connection()),
        bracket(quantity="10", type="limit", limit_price=Decimal(98)),
    )
    broker.submit(asked)
    add_candle(instrument, 0, "98", "98", "98", "98", volume="16")
    add_candle(instrument, 1, "99", "99", "94", "94")
    matching.match_instrument(instrument.pk)
    entry, stopped = (broker.lookup(order.client_order_id) for order in (asked, stop))
    assert (entry.state, filled(entry), filled(stopped)) == ("canceled", 4, 4)
    assert broker.positions() == ()


def test_a_candle_of_less_than_a_step_fills_nothing():
    instrument = make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="8")
    broker, asked = PaperBroker(make_connection()), request(quantity=Decimal(5))
    broker.submit(asked)
    add_candle(instrument, 0, "101", "101", "101", "101", volume="0.001")
    assert not matching.match_instrument(instrument.pk)
    add_candle(instrument, 1, "102", "102", "102", "102")
    matching.match_instrument(instrument.pk)
    assert [deal.price for deal in broker.lookup(asked.client_order_id).executions] == [100, 102]


def test_an_order_waits_while_its_market_has_no_price():
    instrument = make_instrument()
    broker, (asked, stop, _) = PaperBroker(make_connection()), bracket()
    broker.submit(asked)
    add_candle(instrument, 0, "100", "100", "94", "99")
    Quote.objects.all().delete()
    assert not matching.match_instrument(instrument.pk)
    set_price(instrument, "99", START + timedelta(seconds=60))
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "filled"


def test_an_order_that_ended_before_its_account_was_locked_is_passed_over(monkeypatch):
    instrument = make_instrument()
    broker, asked = PaperBroker(make_connection()), request(type="limit", limit_price=Decimal(99))
    broker.submit(asked)
    locked = book.locked_account

    def cancelled_meanwhile(connection):
        PaperOrder.objects.update(state="canceled")
        return locked(connection)

    monkeypatch.setattr(book, "locked_account", cancelled_meanwhile)
    add_candle(instrument, 0, "99", "99", "99", "99")
    assert not matching.match_instrument(instrument.pk)
    assert broker.positions() == ()


def test_an_exit_ends_the_bracket_of_the_position():
    make_instrument()
    broker, (asked, stop, target) = PaperBroker(make_connection()), bracket()
    broker.submit(asked)
    broker.submit(request(side="sell", reduce_only=True))
    for leg in (stop, target):
        told = broker.lookup(leg.client_order_id)
        assert (told.state, told.reason) == ("canceled", "the position is flat")


def test_matching_again_changes_nothing_and_a_pause_misses_nothing():
    instrument = make_instrument()
    broker, (asked, stop, _) = PaperBroker(make_connection()), bracket()
    broker.submit(asked)
    add_candle(instrument, 0, "100", "100", "94", "99")
    for number in range(1, 5):
        add_candle(instrument, number, "120", "121", "119", "120")
    assert matching.match_instrument(instrument.pk)
    assert not matching.match_instrument(instrument.pk)
    assert execution_of(broker, stop).executed_at == START + timedelta(seconds=60)
    assert PaperExecution.objects.count() == 2


def test_a_kill_during_matching_leaves_the_books_as_they_were(monkeypatch):
    instrument = make_instrument()
    broker, (asked, stop, _) = PaperBroker(make_connection()), bracket()
    broker.submit(asked)
    add_candle(instrument, 0, "100", "100", "94", "99")
    with monkeypatch.context() as patched:
        patched.setattr(matching, "_mark_matched", _killed)
        with pytest.raises(KeyboardInterrupt):
            matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "accepted"
    matching.match_instrument(instrument.pk)
    assert broker.lookup(stop.client_order_id).state == "filled"


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("fault", "arrives"), [("timeout_before", False), ("timeout_after", True)])
def test_a_time_out_that_was_asked_for_happens_once_and_says_nothing_of_the_order(fault, arrives):
    make_instrument()
    broker = PaperBroker(make_connection(faults={fault: 1}))
    lost, sent = request(), request()
    with pytest.raises(OutcomeUnknown, match="injected"):
        broker.submit(lost)
    assert (broker.lookup(lost.client_order_id) is not None) is arrives
    assert filled(broker.submit(sent)) == sent.quantity


@pytest.mark.parametrize("read", ["lookup", "updates", "positions"])
def test_a_venue_that_was_asked_to_be_away_can_not_be_read_so_often(read):
    make_instrument()
    broker = PaperBroker(make_connection(faults={"unavailable": 2}))
    calls = {
        "lookup": lambda: broker.lookup("x"),
        "updates": lambda: broker.updates(0),
        "positions": broker.positions,
    }
    for _ in range(2):
        with pytest.raises(VenueUnavailable, match="injected"):
            calls[read]()
    calls[read]()


def test_news_are_read_with_as_many_questions_for_many_orders_as_for_one(django_assert_max_num_queries):
    make_instrument()
    broker = PaperBroker(make_connection())
    broker.submit(request())
    broker.updates(0)
    with django_assert_max_num_queries(10) as one:
        broker.updates(0)
    for _ in range(3):
        broker.submit(request())
    with django_assert_max_num_queries(len(one)):
        assert len(broker.updates(0).orders) == 4


def test_defaults_are_the_documented_ones():
    options = PaperOptions.of({})
    assert (options.spread_bps, options.slippage_bps, options.fee_bps) == (2, 1, 5)
    assert options.round_trip == Decimal("0.0014")
    assert PaperOptions.of({"fee_bps": 7.5, "else": 1}).fee_bps == Decimal("7.5")


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.decimals("0.1", "20", places=1),
        st.booleans(),
        st.sampled_from(["market", "limit", "bracket"]),
        st.integers(80, 120),
        st.integers(1, 100),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ORDERS)
def test_whatever_is_ordered_the_books_balance(db, orders):
    number = PaperAccount.objects.count()
    instrument, connection = make_instrument(f"X{number}USDT"), make_connection(f"c{number}", fee_bps=5)
    broker = PaperBroker(connection)
    for number, (side, quantity, reduce_only, kind, price, volume) in enumerate(orders):
        with contextlib.suppress(OrderRejected):
            broker.submit(replace(_random(side, quantity, reduce_only, kind, price), symbol=instrument.symbol))
        add_candle(instrument, number, "100", str(max(price, 100)), str(min(price, 100)), str(price), str(volume))
        matching.match_instrument(instrument.pk)
        _check_books(connection)


def _random(side, quantity, reduce_only, kind, price):
    if kind == "bracket":
        away, near = (Decimal("0.9"), Decimal("1.1")) if side == "buy" else (Decimal("1.1"), Decimal("0.9"))
        other = {"side": "sell" if side == "buy" else "buy", "quantity": quantity, "reduce_only": True}
        stop = request(**other, type="stop", stop_price=100 * away)
        target = request(**other, type="limit", limit_price=100 * near)
        return request(side=side, quantity=quantity, legs=(stop, target))
    limit = Decimal(price) if kind == "limit" else None
    return request(side=side, quantity=quantity, reduce_only=reduce_only, type=kind, limit_price=limit)


def _check_books(connection):
    account = PaperAccount.objects.get(connection=connection)
    cash, held = connection.starting_equity, Decimal(0)
    for order in PaperOrder.objects.filter(account=account).prefetch_related("executions"):
        done = sum((row.quantity for row in order.executions.all()), Decimal(0))
        assert done == order.filled_quantity <= order.quantity
        assert (order.state == "filled") <= (done == order.quantity)
        for row in order.executions.all():
            sign = 1 if order.side == "buy" else -1
            cash -= sign * row.quantity * row.price + row.fee
            held += sign * row.quantity
    holding = PaperHolding.objects.filter(account=account).first()
    assert account.cash == cash
    assert (holding.quantity if holding else 0) == held
    if held == 0:
        working = PaperOrder.objects.filter(account=account, reduce_only=True, state="working")
        assert not working.exclude(parent__state="working").exists()
