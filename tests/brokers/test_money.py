"""Ticks, steps, ids, and the price at which an order trades in a candle: pure numbers."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal, localcontext

import pytest

from brokers.money import against, to_places, to_step, to_tick
from brokers.orders.ids import client_order_id
from brokers.venues.paper.options import PaperOptions
from brokers.venues.paper.pricing import Bar, Match, Resting, market_price, match, urgency

TICK = Decimal("0.5")
FREE = PaperOptions(spread_bps=Decimal(0), slippage_bps=Decimal(0))
COSTLY = PaperOptions(spread_bps=Decimal(100), slippage_bps=Decimal(50))  # 1 % worse
OPEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLOSE = OPEN + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("quantity", "whole"), [("1.999", "1.5"), ("1.5", "1.5"), ("0.4", "0"), ("-1.999", "-1.5")]
)
def test_a_quantity_is_rounded_towards_zero(quantity: str, whole: str) -> None:
    assert to_step(Decimal(quantity), Decimal("0.5")) == Decimal(whole)


@pytest.mark.parametrize(
    ("price", "tick"), [("10.24", "10"), ("10.26", "10.5"), ("10.25", "10"), ("10.75", "11"), ("0.1", "0.5")]
)
def test_a_price_is_rounded_to_the_nearest_tick_and_is_at_least_one(price: str, tick: str) -> None:
    assert to_tick(Decimal(price), TICK) == Decimal(tick)


@pytest.mark.parametrize(
    ("price", "side", "tick"),
    [
        ("10.01", "buy", "10.5"),
        ("10.49", "sell", "10"),
        ("10", "buy", "10"),
        ("10", "sell", "10"),
        ("0.2", "sell", "0.5"),
    ],
)
def test_a_price_against_the_trader_is_rounded_up_for_a_buy_and_down_for_a_sell(
    price: str, side: str, tick: str
) -> None:
    assert against(Decimal(price), TICK, side) == Decimal(tick)


def test_the_ledger_holds_ten_places_and_rounds_halves_to_even() -> None:
    assert str(to_places(Decimal(1) / 3)) == "0.3333333333"
    assert to_places(Decimal("0.00000000005")) == 0
    assert to_places(Decimal("0.00000000015")) == Decimal("0.0000000002")


def test_amounts_are_rounded_the_same_way_whatever_the_thread_rounds_by() -> None:
    with localcontext(rounding=ROUND_UP):
        assert to_tick(Decimal("10.1"), TICK) == 10
        assert to_places(Decimal("0.00000000001")) == 0
        assert against(Decimal("10.1"), TICK, "sell") == 10
        assert to_step(Decimal("1.9"), TICK) == Decimal("1.5")


def test_an_order_id_is_the_same_for_ever() -> None:
    desk = uuid.UUID("00000000-0000-0000-0000-000000000001")
    assert client_order_id(desk, "d17", "entry") == client_order_id(desk, "d17", "entry", 0)
    assert re.fullmatch(r"[a-z0-9]{18}", client_order_id(desk, "d17", "entry"))
    # A stored order is found at the venue by this id alone: it may never change.
    assert client_order_id(desk, "d17", "entry") == "k3g6n4ymhkoz4n6qrq"
    others = {
        client_order_id(desk, "d17", "entry"),
        client_order_id(desk, "d17", "stop"),
        client_order_id(desk, "d18", "entry"),
        client_order_id(desk, "d17", "entry", 1),
        client_order_id(uuid.UUID(int=2), "d17", "entry"),
    }
    assert len(others) == 5


def bar(open_: str = "100", high: str = "110", low: str = "90", close: str = "105") -> Bar:
    return Bar(OPEN, 60, Decimal(open_), Decimal(high), Decimal(low), Decimal(close), Decimal(1))


def test_a_market_order_pays_half_the_spread_and_the_slippage_rounded_against_it() -> None:
    assert market_price(Decimal(100), "buy", TICK, COSTLY) == 101
    assert market_price(Decimal(100), "sell", TICK, COSTLY) == 99
    assert market_price(Decimal("100.1"), "buy", TICK, FREE) == Decimal("100.5")
    assert market_price(Decimal("100.1"), "sell", TICK, FREE) == 100


@pytest.mark.parametrize(
    "order", [Resting("buy", "market"), Resting("buy", "stop", None, Decimal(500), triggered=True)]
)
def test_what_waits_for_no_price_trades_at_the_open(order: Resting) -> None:
    assert match(order, bar(), TICK, COSTLY) == Match(Decimal(101), OPEN)


@pytest.mark.parametrize(
    ("side", "stop", "price", "at"),
    [
        ("sell", "95", "94", CLOSE),  # touched within the candle: at the stop, 1 % worse, rounded down
        ("sell", "90", "89", CLOSE),  # just touched
        ("sell", "89.5", None, None),
        ("sell", "100", "99", OPEN),  # the open itself is at the stop
        ("sell", "105", "99", OPEN),  # jumped over
        ("buy", "105", "106.5", CLOSE),
        ("buy", "110", "111.5", CLOSE),
        ("buy", "110.5", None, None),
        ("buy", "100", "101", OPEN),
        ("buy", "95", "101", OPEN),
    ],
)
def test_a_stop_trades_when_touched_and_at_the_open_when_jumped_over(
    side: str, stop: str, price: str | None, at: datetime | None
) -> None:
    expected = None if price is None or at is None else Match(Decimal(price), at)
    assert match(Resting(side, "stop", stop_price=Decimal(stop)), bar(), TICK, COSTLY) == expected


@pytest.mark.parametrize(
    ("side", "limit", "price", "at"),
    [
        ("sell", "105", "105", CLOSE),
        ("sell", "110", "110", CLOSE),
        ("sell", "110.5", None, None),
        ("sell", "100", "100", OPEN),
        ("sell", "95", "100", OPEN),  # better than asked for
        ("buy", "95", "95", CLOSE),
        ("buy", "90", "90", CLOSE),
        ("buy", "89.5", None, None),
        ("buy", "100", "100", OPEN),
        ("buy", "105", "100", OPEN),
    ],
)
def test_a_limit_trades_at_its_price_or_better_and_pays_no_spread(
    side: str, limit: str, price: str | None, at: datetime | None
) -> None:
    expected = None if price is None or at is None else Match(Decimal(price), at)
    assert match(Resting(side, "limit", limit_price=Decimal(limit)), bar(), TICK, COSTLY) == expected


def test_a_limit_is_rounded_to_the_nearest_tick() -> None:
    order = Resting("buy", "limit", limit_price=Decimal("95.3"))
    assert match(order, bar(), TICK, COSTLY) == Match(Decimal("95.5"), CLOSE)
    assert match(Resting("buy", "limit", limit_price=Decimal(105)), bar("100.3"), TICK, COSTLY) == Match(
        Decimal("100.5"), OPEN
    )


@pytest.mark.parametrize("kind", ["stop", "limit", "odd"])
def test_an_order_without_its_price_never_trades(kind: str) -> None:
    assert match(Resting("buy", kind), bar(), TICK, COSTLY) is None


def test_within_a_candle_the_open_comes_first_then_stops_then_limits() -> None:
    waiting = [
        Resting("buy", "limit", limit_price=Decimal(1)),
        Resting("buy", "stop", stop_price=Decimal(1)),
        Resting("buy", "limit", limit_price=Decimal(1), triggered=True),
        Resting("buy", "market"),
    ]
    assert [urgency(order) for order in waiting] == [2, 1, 0, 0]
