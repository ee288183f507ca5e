"""The numbers on the axes of an outcome: prices that never lie on one another, bars that are round."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.svg import LABEL_HEIGHT, MOST_TICKS, PATH_HEIGHT, bar_ticks, price_labels, run

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


def test_the_axes_of_a_run_follow_its_scale() -> None:
    drawn = run([(101.0, 99.0, 100.5)] * 3, entry=100, stop=98, target=104, horizon=12)
    assert drawn.labels["target"] < drawn.labels["entry"] < drawn.labels["stop"]
    assert drawn.labels["entry"] == pytest.approx(drawn.entry_y / PATH_HEIGHT * 100, abs=0.1)
    assert drawn.ticks[-1].label == "12"
