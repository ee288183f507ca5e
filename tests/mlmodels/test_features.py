"""Features: 2.5's definitions to the digit, nothing across a gap, nothing from the future, no bad candle."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import _v25_recipe
from market.bars import Bars
from market.feeds.simulator import simulate
from mlmodels.pipeline import dataset, features
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import DESK_1, V25, BadCandles, compute, segments, slice_bars

FIVE = 300
NAMES = ("open", "high", "low", "close", "volume")
schemas = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))


@pytest.fixture(scope="module")
def bars() -> Bars:
    return simulate(["BTCUSDT"], seed=4, count=3_000)["BTCUSDT"]


def without(bars: Bars, rows: slice) -> Bars:
    return Bars(*(np.delete(getattr(bars, name), rows) for name in ("open_time", *NAMES)))


def flat(count: int, price: float = 50.0, volume: float = 0.0) -> Bars:
    prices = np.full(count, price)
    return Bars(np.arange(count) * FIVE, prices, prices, prices, prices, np.full(count, volume))


@pytest.mark.parametrize("column", range(12), ids=V25.features)
def test_the_twelve_features_are_those_of_2_5(bars: Bars, column: int) -> None:
    ours = compute(V25, bars, FIVE)[V25.look_back :, column]
    theirs = _v25_recipe.features(_v25_recipe.frame(bars)).to_numpy()[V25.look_back :, column]
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


def test_the_names_are_those_of_2_5_in_its_order(bars: Bars) -> None:
    frame = _v25_recipe.frame(slice_bars(bars, slice(60)))
    assert tuple(_v25_recipe.features(frame).columns) == V25.features


@schemas
def test_nothing_is_said_before_the_look_back_and_everything_after_it(bars: Bars, schema: features.Schema) -> None:
    known = np.isfinite(compute(schema, bars, FIVE))
    assert not known[: schema.look_back].any()
    assert known[schema.look_back :].all()


@schemas
def test_a_gap_begins_anew(bars: Bars, schema: features.Schema) -> None:
    holed = without(bars, slice(1_000, 1_003))
    table = compute(schema, holed, FIVE)
    alone = compute(schema, slice_bars(bars, slice(1_003, None)), FIVE)
    assert np.array_equal(table[1_000:], alone, equal_nan=True)
    assert np.isnan(table[1_000 : 1_000 + schema.look_back]).all()


@given(last=st.integers(0, 2_999), hole=st.integers(1, 2_950), width=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_candles_that_come_later_change_nothing(last: int, hole: int, width: int) -> None:
    bars = without(simulate(["XRPUSDT"], seed=8, count=3_000)["XRPUSDT"], slice(hole, hole + width))
    last = min(last, len(bars) - 1)
    for schema in SCHEMAS.values():
        whole, past = compute(schema, bars, FIVE), compute(schema, slice_bars(bars, slice(last + 1)), FIVE)
        assert np.array_equal(whole[: last + 1], past, equal_nan=True)


@schemas
def test_a_long_series_in_blocks_and_threads_is_what_short_windows_give(schema: features.Schema) -> None:
    long = simulate(["ETHUSDT"], seed=2, count=4 * features.BLOCK + 500)["ETHUSDT"]
    whole = compute(schema, long, FIVE)
    spread = np.nanstd(whole, axis=0)
    for last in (features.BLOCK + schema.look_back, 2 * features.BLOCK + 7, len(long) - 1):
        window = slice_bars(long, slice(last - schema.look_back, last + 1))
        assert (np.abs(compute(schema, window, FIVE)[-1] - whole[last]) <= 1e-6 * spread).all()


def test_a_price_that_stands_still_has_the_values_that_stand_for_nothing() -> None:
    row = dict(zip(V25.features, compute(V25, flat(400), FIVE)[-1], strict=True))
    assert row["rsi"] == 50
    assert (row["bb_position"], row["close_position"], row["oc_range"]) == (0.5, 0.5, 0)
    assert (row["sma_5"], row["sma_20"], row["sma_50"], row["hl_range"], row["volume_ratio"]) == (50, 50, 50, 0, 1)
    assert abs(row["macd"]) < 1e-9


def test_without_any_move_there_is_no_unit_and_the_scale_free_features_are_missing() -> None:
    table = compute(DESK_1, flat(400), FIVE)
    assert np.isnan(table[:, :5]).all()


def test_a_stretch_that_is_flat_after_moves_leaves_no_crumbs(bars: Bars) -> None:
    still = flat(600, float(bars.close[-1]), 1.0)
    joined = {name: np.concatenate([getattr(bars, name), getattr(still, name)]) for name in NAMES}
    both = Bars(np.arange(len(bars) + 600) * FIVE, **joined)
    row = dict(zip(V25.features, compute(V25, both, FIVE)[-1], strict=True))
    assert row["rsi"] == 50
    assert row["bb_position"] == pytest.approx(0.5, abs=1e-6)


@schemas
def test_scale_free_features_do_not_know_the_price(bars: Bars, schema: features.Schema) -> None:
    larger = replace(bars, **{name: getattr(bars, name) * 64 for name in NAMES[:4]})
    same = np.allclose(
        compute(schema, bars, FIVE), compute(schema, larger, FIVE), rtol=1e-9, atol=1e-9, equal_nan=True
    )
    assert same == (schema is not V25), "only the features of 2.5 are in prices"


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("close", np.nan, "close has numbers that are not finite and positive"),
        ("high", np.inf, "high has numbers that are not finite and positive"),
        ("low", 0.0, "low has numbers that are not finite and positive"),
        ("open", -1.0, "open has numbers that are not finite and positive"),
        ("volume", -1.0, "volume has numbers that are not finite and not negative"),
    ],
)
def test_a_number_that_no_candle_has_is_refused_by_name(bars: Bars, column: str, value: float, words: str) -> None:
    values = getattr(bars, column).copy()
    values[500] = value
    with pytest.raises(BadCandles, match=words):
        compute(V25, replace(bars, **{column: values}), FIVE)


@pytest.mark.parametrize("order", [[0, 1, 1, 2], [0, 2, 1, 3]])
def test_a_doubled_or_misplaced_candle_is_refused_with_its_place(bars: Bars, order: list[int]) -> None:
    wrong = Bars(*(getattr(bars, name)[order] for name in ("open_time", *NAMES)))
    with pytest.raises(BadCandles, match=r"candle 2 .* is not later than the one before it"):
        compute(V25, wrong, FIVE)


def test_the_symbol_of_bad_candles_is_named(bars: Bars) -> None:
    bad = replace(bars, close=bars.close * np.nan)
    with pytest.raises(BadCandles, match=r"^XRPUSDT: close has"):
        dataset.features_of({"BTCUSDT": bars, "XRPUSDT": bad}, FIVE, V25)


def test_no_candles_have_no_features_and_no_stretches(bars: Bars) -> None:
    none = slice_bars(bars, slice(0))
    assert compute(V25, none, FIVE).shape == (0, 12)
    assert segments(none.open_time, FIVE) == []


def test_another_definition_has_another_hash() -> None:
    assert len({schema.hash for schema in SCHEMAS.values()}) == len(SCHEMAS)
    assert replace(V25, look_back=251).hash != V25.hash
    assert replace(V25, compute=DESK_1.compute).hash != V25.hash
