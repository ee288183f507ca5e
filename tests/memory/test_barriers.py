"""Stops and targets, and which of them a market reaches first."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.barriers import first_touch, place, stop_fraction, volatility

TICK = Decimal("0.01")


def test_volatility_is_unknown_below_twenty_bars() -> None:
    assert volatility(np.full(20, 100.0)) is None
    assert volatility(np.full(21, 100.0)) == 0


def test_volatility_is_the_sample_deviation_of_log_returns() -> None:
    closes = 100 * np.exp(np.cumsum(np.tile([0.01, -0.01], 50)))
    assert volatility(closes) == pytest.approx(0.01, rel=0.02)


def test_an_unknown_volatility_puts_the_stop_one_percent_away() -> None:
    barriers = place("long", Decimal(100), None, TICK)
    assert (barriers.stop, barriers.target) == (Decimal("99.00"), Decimal("101.50"))


@given(
    st.sampled_from(["long", "short"]),
    st.decimals("0.05", "200000", places=2),
    st.one_of(st.none(), st.floats(0, 0.01)),
)
def test_the_entry_lies_strictly_between_stop_and_target(side, entry, sigma) -> None:
    barriers = place(side, entry, sigma, TICK)
    low, high = sorted([barriers.stop, barriers.target])
    assert 0 < low < entry < high
    assert (barriers.stop < entry) == (side == "long")


def test_a_flat_market_still_has_a_stop() -> None:
    assert stop_fraction(0.0) == 0.001


def test_the_first_bar_to_touch_decides() -> None:
    high, low = np.array([101.0, 106.0, 101.0]), np.array([99.0, 100.0, 80.0])
    touch = first_touch("long", high, low, 95, 105)
    assert touch is not None
    assert (touch.index, touch.result, touch.price) == (1, "win", 105)


def test_a_bar_that_touches_both_counts_as_the_stop() -> None:
    touch = first_touch("long", np.array([110.0]), np.array([90.0]), 95, 105)
    assert touch is not None
    assert touch.result == "loss"


def test_a_short_wins_downwards() -> None:
    touch = first_touch("short", np.array([101.0]), np.array([94.0]), 105, 95)
    assert touch is not None
    assert touch.result == "win"


def test_nothing_touched_is_nothing_decided() -> None:
    assert first_touch("long", np.array([101.0]), np.array([99.0]), 95, 105) is None


def test_the_stop_is_one_and_a_half_deviations_of_twelve_bars() -> None:
    assert stop_fraction(0.01) == 1.5 * 0.01 * math.sqrt(12)
    assert stop_fraction(None) == 0.01


def test_the_smallest_stop_is_a_thousandth() -> None:
    assert stop_fraction(0.0001) == 0.001
    assert stop_fraction(0.0002) == pytest.approx(0.00103923)


def test_volatility_looks_at_the_last_96_moves_and_no_further() -> None:
    moves = np.concatenate([np.tile([0.05, -0.05], 50), np.tile([0.01, -0.01], 48)])
    closes = 100 * np.exp(np.cumsum(np.concatenate([[0.0], moves])))
    assert volatility(closes) == pytest.approx(0.01 * math.sqrt(96 / 95), rel=1e-9)
    one_more = np.concatenate([[0.3], np.tile([0.01, -0.01], 48)])
    assert volatility(100 * np.exp(np.cumsum(one_more))) == pytest.approx(0.01 * math.sqrt(96 / 95), rel=1e-9)


def test_stop_and_target_lie_on_ticks_with_the_halves_away_from_the_entry() -> None:
    # A distance of 1 is 2.5 ticks, rounded up to 3; the target's 4.5 ticks become 5.
    barriers = place("long", Decimal(100), None, Decimal("0.4"))
    assert (barriers.stop, barriers.target) == (Decimal("98.8"), Decimal("102.0"))
    short = place("short", Decimal(100), None, Decimal("0.4"))
    assert (short.stop, short.target) == (Decimal("101.2"), Decimal("98.0"))


def test_the_fractions_are_those_of_the_rounded_prices() -> None:
    barriers = place("long", Decimal(200), 0.001, TICK)
    assert (barriers.entry, barriers.stop, barriers.target) == (200, Decimal("198.96"), Decimal("201.56"))
    assert (barriers.stop_fraction, barriers.target_fraction) == (0.0052, 0.0078)
    short = place("short", Decimal(200), 0.001, TICK)
    assert (short.stop_fraction, short.target_fraction) == (0.0052, 0.0078)


def test_stop_and_target_are_at_least_one_tick_away() -> None:
    barriers = place("long", Decimal(100), 0.0, Decimal(5))
    assert (barriers.stop, barriers.target) == (95, 110)
    tiny = place("long", Decimal("0.05"), 0.0, TICK)
    assert (tiny.stop, tiny.target) == (Decimal("0.04"), Decimal("0.07"))


def test_a_stop_or_target_below_the_first_tick_lies_on_it() -> None:
    assert place("long", Decimal("0.01"), 0.5, TICK).stop == TICK
    assert place("short", Decimal("0.02"), 0.5, TICK).target == TICK
    wide = place("long", Decimal(2), 0.5, Decimal(1))
    assert wide.stop == 1


@pytest.mark.parametrize(
    ("side", "high", "low", "result", "price"),
    [
        ("long", 104.9, 95.0, "loss", 95),
        ("long", 105.0, 95.1, "win", 105),
        ("short", 105.0, 95.1, "loss", 105),
        ("short", 104.9, 95.0, "win", 95),
    ],
)
def test_a_price_exactly_at_a_barrier_reaches_it(side, high, low, result, price) -> None:
    stop, target = (95, 105) if side == "long" else (105, 95)
    touch = first_touch(side, np.array([100.0, high]), np.array([100.0, low]), stop, target)
    assert touch is not None
    assert (touch.index, touch.result, touch.price) == (1, result, price)


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_hair_before_both_barriers_nothing_is_reached(side) -> None:
    stop, target = (95, 105) if side == "long" else (105, 95)
    assert first_touch(side, np.array([104.9]), np.array([95.1]), stop, target) is None
    assert first_touch(side, np.array([]), np.array([]), stop, target) is None


def test_a_short_that_reaches_both_in_one_bar_counts_as_stopped() -> None:
    touch = first_touch("short", np.array([110.0]), np.array([90.0]), 105, 95)
    assert touch is not None
    assert (touch.index, touch.result, touch.price) == (0, "loss", 105)
