"""Stops and targets, and which of them a market reaches first."""

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
