"""Splits: by time across all instruments, with nothing of a test period inside what was trained on."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import Bars
from market.feeds.simulator import simulate
from mlmodels.pipeline import dataset, labels
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset, NotEnough
from mlmodels.pipeline.features import DESK_1, slice_bars
from mlmodels.pipeline.labels import PROFILES
from mlmodels.pipeline.splits import Plan, Split, Window, least_bars, plan, unseen, walk_forward

FIVE = 300
RECIPE = Recipe(label=PROFILES["half-percent"], holdout_days=2, history_days=30)


def gathered(series: dict[str, Bars], recipe: Recipe = RECIPE) -> Dataset:
    known = dataset.features_of(series, FIVE, DESK_1)
    return dataset.gather(series, FIVE, DESK_1, recipe.label, known)


@pytest.fixture(scope="module")
def series() -> dict[str, Bars]:
    """Two instruments on one clock, one of them with a gap and a later beginning."""
    both = simulate(["BTCUSDT", "XRPUSDT"], seed=6, count=6_000)
    late = slice_bars(both["XRPUSDT"], slice(700, None))
    names = ("open_time", "open", "high", "low", "close", "volume")
    holed = Bars(*(np.delete(getattr(late, name), slice(2_000, 2_040)) for name in names))
    return {"BTCUSDT": both["BTCUSDT"], "XRPUSDT": holed}


@pytest.fixture(scope="module")
def data(series: dict[str, Bars]) -> Dataset:
    return gathered(series)


def splits(cut_into: Plan) -> Iterator[Split]:
    yield from cut_into.folds
    yield Split(cut_into.development, cut_into.holdout)


def test_no_row_of_a_test_period_is_within_the_purge_of_a_training_row(data: Dataset) -> None:
    for split in splits(plan(data, RECIPE)):
        train, test = data.between(*split.train), data.between(*split.test)
        assert len(train) > 0
        assert len(test) > 0
        assert test.time.min() - train.time.max() > RECIPE.purge
        assert RECIPE.purge == RECIPE.label.window + RECIPE.embargo


def test_a_split_is_one_moment_for_all_instruments(data: Dataset) -> None:
    for split in splits(plan(data, RECIPE)):
        train, test = data.between(*split.train), data.between(*split.test)
        for number in range(len(data.symbols)):
            assert train.time[train.instrument == number].max() < test.time.min()
            assert test.time[test.instrument == number].min() > train.time.max()


def test_nothing_of_the_hold_out_is_in_a_fold_or_in_the_development(data: Dataset) -> None:
    cut_into = plan(data, RECIPE)
    assert cut_into.holdout == Window(int(data.time[-1]) + 1 - RECIPE.holdout_bars, int(data.time[-1]) + 1)
    for fold in cut_into.folds:
        assert fold.test.last <= cut_into.development.last == cut_into.holdout.first - RECIPE.purge


@given(length=st.integers(2_600, 50_000), folds=st.integers(2, 20), first=st.integers(0, 10**7))
@settings(max_examples=settings.default.max_examples // 2)
def test_folds_follow_one_another_without_a_gap_and_train_on_everything_before(
    length: int, folds: int, first: int
) -> None:
    recipe = replace(RECIPE, folds=folds)
    splits = walk_forward(Window(first, first + length), recipe)
    assert len(splits) == folds
    for earlier, later in pairwise(splits):
        assert earlier.test.last == later.test.first
        assert earlier.test.bars == later.test.bars
    for split in splits:
        assert split.train == Window(first, split.test.first - recipe.purge)
    assert splits[-1].test.last == first + length


def test_a_history_that_is_too_short_says_how_much_is_needed(series: dict[str, Bars]) -> None:
    need = least_bars(RECIPE)
    data = gathered({"BTCUSDT": series["BTCUSDT"]})
    first = int(data.time[0])
    assert plan(data.between(first, first + need), RECIPE)
    with pytest.raises(NotEnough) as caught:
        plan(data.between(first, first + need - 1), RECIPE)
    assert str(caught.value) == "9.9 days of candles are too few: 9.9 are needed, 2 of them for the gate alone"


@pytest.mark.parametrize(
    ("folds", "bars"),
    [
        # 500 bars and the purge of 5 + 288 are .4 of the development: 1,982.5 of it; then the purge and two days.
        (2, 1_983 + 293 + 576),
        (6, 1_983 + 293 + 576),
        # Seven folds of a day are longer.
        (7, 7 * 288 + 293 + 576),
        (20, 20 * 288 + 293 + 576),
    ],
)
def test_a_history_has_room_for_the_first_training_every_fold_and_the_gate(folds: int, bars: int) -> None:
    assert least_bars(replace(RECIPE, folds=folds)) == bars


def test_no_row_at_all_says_how_long_a_stretch_must_be(series: dict[str, Bars]) -> None:
    with pytest.raises(NotEnough, match="a stretch needs 310 bars without a gap"):
        gathered({"BTCUSDT": slice_bars(series["BTCUSDT"], slice(305))})


@pytest.mark.parametrize(
    ("trained_to", "left"),
    [(None, (1_000, 2_000)), (500, (1_000, 2_000)), (950, (1_050, 2_000)), (1_500, (1_600, 2_000)),
     (1_950, (2_000, 2_000)), (9_999, (2_000, 2_000))],
)  # fmt: skip
def test_what_the_incumbent_has_seen_is_taken_from_the_hold_out(
    trained_to: int | None, left: tuple[int, int]
) -> None:
    window = unseen(Window(1_000, 2_000), trained_to, embargo=100)
    assert window == Window(*left)
    assert window.bars == left[1] - left[0]


def test_rows_are_ordered_by_time_and_complete(series: dict[str, Bars], data: Dataset) -> None:
    assert (np.diff(data.time) >= 0).all()
    assert np.isfinite(data.features).all()
    assert np.isfinite(data.excess).all()
    assert (data.reversal != labels.UNKNOWN).all()
    for number, symbol in enumerate(data.symbols):
        times = data.time[data.instrument == number] * FIVE
        assert np.isin(times, series[symbol].open_time).all()
        assert len(np.unique(times)) == len(times)


def test_every_row_carries_the_values_of_its_own_instrument(series: dict[str, Bars], data: Dataset) -> None:
    known = dataset.features_of(series, FIVE, DESK_1)
    for row in np.random.default_rng(1).integers(0, len(data), 200):
        symbol = data.symbols[data.instrument[row]]
        at = int(np.searchsorted(series[symbol].open_time, data.time[row] * FIVE))
        assert np.array_equal(known[symbol][at], data.features[row])
        labelled = labels.label(series[symbol], FIVE, RECIPE.label)
        assert (labelled.reversal[at], labelled.side[at]) == (data.reversal[row], data.side[row])
