"""Labels: the inventory's rule row by row, unknown where a window is cut off, the side without looking ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import _v25_recipe
from market.bars import Bars
from market.feeds.simulator import simulate
from mlmodels.pipeline import labels
from mlmodels.pipeline.features import BadCandles, slice_bars
from mlmodels.pipeline.labels import PROFILES, LabelRule, label, left_side

FIVE = 300


def of_closes(close: np.ndarray) -> Bars:
    return Bars(np.arange(len(close)) * FIVE, close, close, close, close, np.ones(len(close)))


def by_hand(close: np.ndarray, limit: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return label and side of each bar, straight from the words of the rule."""
    reversal, side = np.full(len(close), labels.UNKNOWN), np.zeros(len(close), int)
    for i in range(window, len(close)):
        rise, fall = close[i] / close[i - window : i].min() - 1, 1 - close[i] / close[i - window : i].max()
        if max(rise, fall) > limit[i]:
            side[i] = labels.PEAK if rise >= fall else labels.TROUGH
        if i + window < len(close) and not np.isnan(limit[i]):
            after = close[i + 1 : i + window + 1]
            peak = rise > limit[i] and close[i] / after.min() - 1 > limit[i]
            trough = fall > limit[i] and 1 - close[i] / after.max() > limit[i]
            reversal[i] = int(peak or trough)
    return reversal, side


@given(
    moves=st.lists(st.floats(-0.06, 0.06), min_size=1, max_size=60),
    threshold=st.floats(0.001, 0.05),
    window=st.integers(2, 8),
)
def test_labels_and_sides_are_what_the_rule_says(moves: list[float], threshold: float, window: int) -> None:
    close = 100 * np.cumprod(1 + np.array(moves))
    labelled = label(of_closes(close), FIVE, LabelRule("fixed", threshold, window))
    reversal, side = by_hand(close, np.full(len(close), threshold), window)
    assert labelled.reversal.tolist() == reversal.tolist()
    assert labelled.side.tolist() == side.tolist()


@pytest.mark.parametrize("profile", ["half-percent", "inventory"])
def test_a_fixed_threshold_gives_the_labels_of_2_5(profile: str) -> None:
    bars, rule = simulate(["XRPUSDT"], seed=3, count=3_000)["XRPUSDT"], PROFILES[profile]
    labelled = label(bars, FIVE, rule).reversal
    theirs = _v25_recipe.reversals(_v25_recipe.frame(bars), rule.threshold)
    assert np.array_equal(np.maximum(labelled, 0), theirs)
    assert theirs.sum() > 0
    assert np.array_equal(
        _v25_recipe.reversals_of_array(bars.close), label(bars, FIVE, PROFILES["inventory"]).reversal.clip(0)
    )


def test_a_scaled_threshold_is_that_many_deviations_of_the_moves_before() -> None:
    bars, rule = simulate(["BTCUSDT"], seed=3, count=900)["BTCUSDT"], LabelRule(threshold=0.8, look_back=100)
    moves = np.diff(np.log(bars.close))
    limit = np.full(900, np.nan)
    for i in range(100, 900):
        limit[i] = 0.8 * moves[i - 100 : i].std() * np.sqrt(rule.window)
    reversal, side = by_hand(bars.close, limit, rule.window)
    labelled = label(bars, FIVE, rule)
    assert np.array_equal(labelled.reversal, reversal)
    assert np.array_equal(labelled.side, side)
    assert np.array_equal(labelled.side != labels.NONE, labelled.excess > 1)


def test_no_window_crosses_a_gap() -> None:
    bars, rule = simulate(["BTCUSDT"], seed=3, count=900)["BTCUSDT"], PROFILES["half-percent"]
    holed = Bars(*(np.delete(getattr(bars, name), slice(400, 402)) for name in Bars.__dataclass_fields__))
    labelled = label(holed, FIVE, rule)
    left, right = (label(slice_bars(bars, part), FIVE, rule) for part in (slice(400), slice(402, None)))
    assert np.array_equal(labelled.reversal, np.concatenate([left.reversal, right.reversal]))
    assert np.array_equal(labelled.excess, np.concatenate([left.excess, right.excess]), equal_nan=True)
    assert (labelled.reversal[400 - rule.window : 400 + rule.window] == labels.UNKNOWN).all()


@given(last=st.integers(0, 899))
@settings(max_examples=settings.default.max_examples // 2)
def test_the_side_needs_no_candle_after_its_bar(last: int) -> None:
    bars = simulate(["BTCUSDT"], seed=5, count=900)["BTCUSDT"]
    for rule in PROFILES.values():
        side, excess = left_side(bars, FIVE, rule)
        past = left_side(slice_bars(bars, slice(last + 1)), FIVE, rule)
        assert np.array_equal(side[: last + 1], past[0])
        assert np.array_equal(excess[: last + 1], past[1], equal_nan=True)


def test_only_candidates_are_reversals() -> None:
    bars = simulate(["ETHUSDT"], seed=5, count=5_000)["ETHUSDT"]
    for rule in PROFILES.values():
        labelled = label(bars, FIVE, rule)
        assert (labelled.side[labelled.reversal == labels.REVERSAL] != labels.NONE).all()


def test_a_price_that_does_not_move_has_no_label_by_deviations_and_no_reversal_by_percent() -> None:
    still = of_closes(np.full(800, 7.0))
    assert (label(still, FIVE, PROFILES["default"]).reversal == labels.UNKNOWN).all()
    labelled = label(still, FIVE, PROFILES["inventory"])
    assert set(labelled.reversal[5:-5].tolist()) == {labels.NOTHING}
    assert not labelled.side.any()


@pytest.mark.parametrize("count", [0, 1, 5, 6, 10])
def test_a_series_that_is_shorter_than_both_windows_is_unknown(count: int) -> None:
    labelled = label(of_closes(np.linspace(1, 2, count)), FIVE, PROFILES["inventory"])
    assert (labelled.reversal == labels.UNKNOWN).all()
    assert len(labelled.side) == len(labelled.excess) == count


def test_candles_out_of_order_are_refused() -> None:
    bars = of_closes(np.linspace(1, 2, 30))
    with pytest.raises(BadCandles):
        label(Bars(bars.open_time[::-1].copy(), *(bars.close,) * 5), FIVE, PROFILES["inventory"])


@pytest.mark.parametrize("wrong", [{"kind": "odd"}, {"threshold": 0.0}, {"threshold": -1.0}])
def test_a_rule_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(
        ValueError, match=r"^a label needs a kind \(fixed, scaled\) and a threshold above 0, not L"
    ):
        LabelRule(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"window": 1}, {"window": 501}, {"look_back": 19}, {"look_back": 5001}])
def test_a_rule_with_too_short_or_too_long_a_look_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"^a label's window is 2 to 500 bars, its look-back 20 to 5,000$"):
        LabelRule(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("right", [{"window": 2}, {"window": 500}, {"look_back": 20}, {"look_back": 5000}])
def test_a_rule_may_look_as_near_and_as_far_as_it_says(right: dict[str, int]) -> None:
    rule = LabelRule(**right)  # type: ignore[arg-type]
    assert rule.as_json() == {"kind": "scaled", "threshold": 1.0, "window": 5, "look_back": 288, **right}


# Prices whose moves are fractions of two: a move of just the threshold is one to the last bit.
@pytest.mark.parametrize(
    ("closes", "threshold", "side", "reversal"),
    [
        ([100, 100, 125, 80, 80], 0.25, labels.NONE, labels.NOTHING),
        ([80, 80, 125, 100, 100], 0.25, labels.PEAK, labels.NOTHING),
        ([80, 80, 125, 99, 100], 0.25, labels.PEAK, labels.REVERSAL),
        ([100, 100, 75, 125, 125], 0.25, labels.NONE, labels.NOTHING),
        ([125, 125, 75, 100, 100], 0.25, labels.TROUGH, labels.NOTHING),
        ([125, 125, 75, 101, 100], 0.25, labels.TROUGH, labels.REVERSAL),
        # As far above the lowest as below the highest: a peak.
        ([100, 60, 75, 75, 75], 0.2, labels.PEAK, labels.NOTHING),
    ],
)
def test_a_move_of_just_the_threshold_is_not_above_it(
    closes: list[float], threshold: float, side: int, reversal: int
) -> None:
    labelled = label(of_closes(np.array(closes, float)), FIVE, LabelRule("fixed", threshold, 2))
    assert (labelled.side[2], labelled.reversal[2]) == (side, reversal)


def test_the_first_series_that_is_long_enough_has_one_label() -> None:
    labelled = label(of_closes(np.linspace(1, 2, 11)), FIVE, PROFILES["inventory"])
    assert np.flatnonzero(labelled.reversal != labels.UNKNOWN).tolist() == [5]


def test_the_side_alone_is_the_side_and_the_excess_of_the_labels() -> None:
    bars = simulate(["BTCUSDT"], seed=5, count=900)["BTCUSDT"]
    labelled = label(bars, FIVE, PROFILES["half-percent"])
    side, excess = left_side(bars, FIVE, PROFILES["half-percent"])
    assert set(side.tolist()) == {labels.PEAK, labels.NONE, labels.TROUGH}
    assert np.array_equal(side, labelled.side)
    assert np.array_equal(excess, labelled.excess, equal_nan=True)


def test_labels_take_a_byte_each() -> None:
    labelled = label(of_closes(np.linspace(1, 2, 30)), FIVE, PROFILES["inventory"])
    assert (labelled.reversal.dtype, labelled.side.dtype) == (np.int8, np.int8)


def test_a_short_stretch_behind_a_gap_is_unknown() -> None:
    bars = of_closes(np.linspace(1, 2, 25))
    holed = Bars(*(np.delete(getattr(bars, name), 20) for name in Bars.__dataclass_fields__))
    labelled = label(holed, FIVE, PROFILES["inventory"])
    assert (labelled.reversal[20:] == labels.UNKNOWN).all()
    assert np.isnan(labelled.excess[20:]).all()
    assert not labelled.side[20:].any()


def test_a_rule_says_what_it_is() -> None:
    assert PROFILES["inventory"].text == "peak or trough of 2 % within ±5 bars"
    assert PROFILES["strict"].text == "peak or trough of 1.5 σ of a 5-bar move within ±5 bars"
