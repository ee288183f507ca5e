"""Rows of several instruments on one clock, and the trivial forecasts made of them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlmodels.pipeline import dataset, labels
from mlmodels.pipeline.baselines import Constant, LeftMove
from mlmodels.pipeline.dataset import Dataset, NotEnough
from mlmodels.pipeline.features import BadCandles, Schema
from mlmodels.pipeline.labels import LabelRule
from tests.mlmodels.pipeline.rows import FIVE, bars, rows

RULE = LabelRule("fixed", 0.02, window=2, look_back=20)
ONE = Schema("one", ("price",), 0, lambda bars, out: np.copyto(out[:, 0], bars.close), "the price")
COLUMNS = ("time", "instrument", "features", "reversal", "side", "excess")


def same(left: Dataset, right: Dataset) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in COLUMNS)


def test_candidates_are_the_rows_with_a_side_and_positives_the_reversals() -> None:
    data = rows(side=[1, 0, -1, 0], reversal=[1, 0, 1, -1])
    assert (len(data), data.positives) == (4, 2)
    assert data.candidates.time.tolist() == [0, 2]
    assert (data.candidates.symbols, data.candidates.timeframe) == (("A",), FIVE)
    assert same(data.candidates, data.where(np.array([True, False, True, False])))


def test_a_part_has_its_first_bar_and_not_its_last_in_every_column() -> None:
    data = rows(time=[3, 4, 4, 6, 9])
    part = data.between(4, 9)
    assert part.time.tolist() == [4, 4, 6]
    assert same(part, data.where(np.array([False, True, True, True, False])))
    assert (part.symbols, part.timeframe) == (("A",), FIVE)
    assert np.shares_memory(part.features, data.features)
    assert len(data.between(7, 9)) == 0


def gathered() -> tuple[Dataset, dict[str, np.ndarray]]:
    # A rises to 110 and falls back; B begins a bar later and stands still; one of its features is missing.
    series = {"A": bars([100, 100, 110, 100, 100, 100]), "B": bars([50, 50, 50, 50, 50, 50], start=1)}
    known = {symbol: one.close[:, None].copy() for symbol, one in series.items()}
    known["B"][2] = np.nan
    return dataset.gather(series, FIVE, ONE, RULE, known), known


def test_rows_are_those_with_known_features_and_label_by_time_then_instrument() -> None:
    data, _ = gathered()
    assert (data.symbols, data.timeframe) == (("A", "B"), FIVE)
    # Two bars before and two behind are needed: A's bars 2 and 3; B's 3 (whose feature is missing) and 4.
    assert list(zip(data.time.tolist(), data.instrument.tolist(), strict=True)) == [(2, 0), (3, 0), (4, 1)]
    assert data.features.tolist() == [[110], [100], [50]]
    assert data.reversal.tolist() == [1, 0, 0]
    assert data.side.tolist() == [labels.PEAK, labels.TROUGH, labels.NONE]
    assert data.excess == pytest.approx([0.1 / 0.02, (1 - 100 / 110) / 0.02, 0])
    assert data.instrument.dtype == np.int16


def test_at_one_time_instruments_come_in_their_order() -> None:
    series = {"B": bars([1] * 5), "A": bars([2] * 5)}
    data = dataset.gather(series, FIVE, ONE, RULE, {name: one.close[:, None] for name, one in series.items()})
    assert (data.symbols, data.instrument.tolist(), data.features.tolist()) == (("B", "A"), [0, 1], [[1], [2]])


@pytest.mark.parametrize(("look_back", "need"), [(0, 20 + 4), (33, 33 + 4)])
def test_no_row_says_how_long_a_stretch_must_be(look_back: int, need: int) -> None:
    short = {"A": bars([1] * 4)}
    with pytest.raises(NotEnough) as caught:
        dataset.gather(short, FIVE, replace(ONE, look_back=look_back), RULE, {"A": np.ones((4, 1))})
    assert str(caught.value) == (
        f"no row has known features and a known label: a stretch needs {need} bars without a gap"
    )


def test_features_are_computed_symbol_by_symbol_and_bad_candles_are_named() -> None:
    series = {"A": bars([1, 2, 3]), "B": bars([4, 5, 6])}
    computed = dataset.features_of(series, FIVE, ONE)
    assert {name: table[:, 0].tolist() for name, table in computed.items()} == {"A": [1, 2, 3], "B": [4, 5, 6]}
    with pytest.raises(BadCandles, match=r"^B: close has numbers"):
        dataset.features_of(series | {"B": replace(series["B"], close=np.zeros(3))}, FIVE, ONE)


def test_the_constant_is_the_share_of_reversals_in_training() -> None:
    constant = Constant(rows(reversal=[1, 0, 0, 0]))
    assert constant.rate == 0.25
    assert constant.predict(rows()).tolist() == [0.25] * 6


def test_the_left_move_is_a_curve_through_its_size_in_logs_and_its_square() -> None:
    random = np.random.default_rng(3)
    excess = random.uniform(0.5, 4, 200)
    train = rows(excess=excess, reversal=(random.random(200) < 0.2 * excess).astype(np.int8))
    beyond = np.log(np.maximum(excess, 1))
    inputs = np.column_stack([beyond, beyond * beyond])
    curve = LogisticRegression().fit(inputs, train.reversal)
    predicted = LeftMove(train).predict(train)
    assert predicted == pytest.approx(curve.predict_proba(inputs)[:, 1], abs=1e-12)
    assert predicted[excess.argmax()] > predicted[excess.argmin()]
    # What does not reach the threshold is as good as what just does.
    assert LeftMove(train).predict(rows(excess=[0.2, 1.0])).tolist() == pytest.approx(
        [predicted[excess < 1][0]] * 2
    )


@pytest.mark.parametrize("reversal", [[0, 0, 0], [1, 1, 1]])
def test_of_one_kind_alone_there_is_nothing_to_tell_apart(reversal: list[int]) -> None:
    with pytest.raises(NotEnough) as caught:
        LeftMove(rows(reversal=reversal))
    assert str(caught.value) == f"{sum(reversal)} of 3 candidates are reversals: nothing to tell apart"
    assert LeftMove(rows(reversal=[1, 0, 0])).predict(rows()).shape == (6,)
