"""The picture of an outcome: each candle at its time, prices that never meet, bars that are round."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.plots import skill
from dashboard.charts.svg import (
    LABEL_HEIGHT,
    MOST_TICKS,
    PATH_HEIGHT,
    WIDTH,
    Hole,
    Run,
    bar_ticks,
    price_labels,
    run,
)

heights = st.floats(min_value=0, max_value=PATH_HEIGHT)


@given(heights, heights, heights)
def test_the_prices_beside_a_run_never_lie_on_one_another(target: float, entry: float, stop: float) -> None:
    labels = sorted(price_labels({"target": target, "entry": entry, "stop": stop}).values())
    assert labels[0] >= 0
    assert labels[-1] <= 100 - LABEL_HEIGHT / 2 + 0.1
    for above, below in itertools.pairwise(labels):
        assert below - above >= LABEL_HEIGHT - 0.2


def test_a_price_with_room_stands_at_its_level() -> None:
    assert price_labels({"target": 20.0, "entry": 100.0, "stop": 180.0}) == {
        "target": 10.0,
        "entry": 50.0,
        "stop": 90.0,
    }


@pytest.mark.parametrize("bars", [1, 2, 7, 8, 9, 36, 48, 100, 288, 1440, 9999])
def test_bars_are_numbered_from_the_decision_to_the_horizon(bars: int) -> None:
    ticks = bar_ticks(bars)
    assert (ticks[0].label, ticks[0].at) == ("0", 0.0)
    assert (ticks[-1].label, ticks[-1].at) == (str(bars), 100.0)
    assert len(ticks) <= MOST_TICKS + 2
    places = [tick.at for tick in ticks]
    assert places == sorted(set(places))


def ran(bars: Iterable[int]) -> Run:
    """A run of twelve bars at most, with a candle for each of `bars`."""
    return run([(bar, 101.0, 99.0, 100.5) for bar in bars], entry=100, stop=98, target=104, horizon=12)


def test_a_candle_after_a_hole_stands_at_its_time() -> None:
    whole, holed = ran(range(8)), ran([0, 1, 5, 6, 7])
    assert [bar.x for bar in holed.bars] == [whole.bars[bar].x for bar in (0, 1, 5, 6, 7)]
    assert holed.now_x == whole.now_x


def test_no_line_crosses_a_hole_and_the_hole_is_drawn_and_counted() -> None:
    assert (ran(range(8)).holes, ran(range(8)).missing, len(ran(range(8)).lines)) == ((), 0, 1)
    holed = ran([0, 1, 5, 6, 7])
    assert [len(points.split()) for points in holed.lines] == [3, 3]
    assert holed.missing == 3
    assert holed.holes == (Hole(round(2 * WIDTH / 12, 1), round(3 * WIDTH / 12, 1)),)


def test_candles_that_are_missing_from_the_start_are_a_hole_too() -> None:
    late = ran([4, 5])
    assert (late.missing, late.holes[0].x, len(late.lines[0].split())) == (4, 0.0, 1)


def test_weeks_without_a_skill_leave_the_line_open() -> None:
    weeks = [("", "", value, value, value) for value in (0.1, 0.2, None, 0.3)]
    drawn = skill(weeks, None)
    assert drawn is not None
    assert [len(points.split()) for points in drawn.lines] == [2, 1]
    assert drawn.unknown == 1


def test_the_axes_of_a_run_follow_its_scale() -> None:
    drawn = ran(range(3))
    assert drawn.labels["target"] < drawn.labels["entry"] < drawn.labels["stop"]
    assert drawn.labels["entry"] == pytest.approx(drawn.entry_y / PATH_HEIGHT * 100, abs=0.1)
    assert drawn.ticks[-1].label == "12"
