"""What is stored of a hold-out, an incumbent's forecast of it, and the scores of bars as they close."""

from dataclasses import replace

import numpy as np

from mlmodels.pipeline import evaluation, metrics
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.evaluation import Forecasts, describe, holdout, importance, moment, period, rescore
from mlmodels.pipeline.features import DESK_1, Floats, Schema
from mlmodels.pipeline.incumbent import Incumbent
from mlmodels.pipeline.labels import PROFILES, LabelRule
from mlmodels.pipeline.scoring import BarScore, Scorer, preceding, score_bars
from mlmodels.pipeline.splits import Window
from tests.mlmodels.pipeline.rows import FIVE, bars, rows

RECIPE = Recipe(seed=5, bars_per_day=288.0)
PRICE = Schema("price", ("price",), 0, lambda bars, out: np.copyto(out[:, 0], bars.close), "the price")
HALF = Schema("half", ("half",), 0, lambda bars, out: np.copyto(out[:, 0], bars.close / 2), "half of it")


def test_a_bar_of_the_clock_is_a_time() -> None:
    assert moment(288, 300) == "1970-01-02T00:00:00+00:00"
    assert moment(1, 3600) == "1970-01-01T01:00:00+00:00"


def test_a_period_is_from_its_first_to_its_last_bar_with_its_length_in_days() -> None:
    assert period(Window(288, 288 + 100), 300, 288.0) == {
        "first": "1970-01-02T00:00:00+00:00",
        "last": "1970-01-02T08:20:00+00:00",
        "days": 0.35,
    }


def test_a_hold_out_has_every_forecast_beside_the_constant_on_the_same_rows() -> None:
    random = np.random.default_rng(1)
    everything = rows(reversal=(random.random(400) < 0.3).astype(np.int8), side=np.tile([1, 0, -1, 1], 100))
    chosen = everything.candidates
    model, champion, left = (random.uniform(0.05, 0.95, len(chosen)) for _ in range(3))
    constant = np.full(len(chosen), 0.3)
    forecasts = Forecasts(chosen, model, constant, left, champion, "c1")
    window = Window(0, 400)
    result = holdout(forecasts, everything, window, RECIPE, 0.4)
    boot = metrics.Bootstrap(chosen.time, 5)

    def scored(forecast: Floats) -> object:
        return metrics.scores(chosen.reversal, forecast, boot, threshold=0.4, against=constant)

    whole = np.zeros(400)
    whole[everything.side != 0] = model
    assert result == {
        "period": period(window, 300, 288.0),
        "model": scored(model),
        "constant": scored(constant),
        "left_move": scored(left),
        "champion": scored(champion),
        "champion_name": "c1",
        "all_rows": metrics.scores(
            everything.reversal, whole, metrics.Bootstrap(everything.time, 5), threshold=0.4,
            against=np.full(400, 0.3 * 300 / 400),
        ),
        "reliability": metrics.reliability(chosen.reversal, model),
        "curve": metrics.curve(chosen.reversal, model),
        "left_move_curve": metrics.curve(chosen.reversal, left),
    }  # fmt: skip
    assert holdout(replace(forecasts, champion=None), everything, window, RECIPE, 0.4)["champion"] is None


def answered(count: int) -> Dataset:
    outcome = (np.arange(count) % 3 == 0).astype(np.int8)
    noise = np.random.default_rng(2).normal(size=(count, 2))
    return rows(reversal=outcome, features=np.column_stack([noise[:, 0], outcome - 0.5, noise[:, 1]]))


def knows_the_second(table: Floats) -> Floats:
    return np.where(table[:, 1] > 0, 0.9, 0.1)


def test_a_feature_that_is_used_costs_when_it_is_shuffled_and_others_cost_nothing() -> None:
    data = answered(300)
    before = data.features.copy()
    result = importance(knows_the_second, data, ("a", "b", "c"), 7)
    assert [item["feature"] for item in result] == ["b", "a", "c"]
    # The same draws by hand: three permutations of each column in turn.
    generator = np.random.default_rng(7)
    base = metrics.log_loss(data.reversal, knows_the_second(data.features)).mean()
    costs = []
    for column in range(3):
        for _ in range(evaluation.IMPORTANCE_REPEATS):
            table = data.features.copy()
            table[:, column] = generator.permutation(table[:, column])
            costs.append(metrics.log_loss(data.reversal, knows_the_second(table)).mean() - base)
    assert result[0] == {"feature": "b", "mean": np.mean(costs[3:6]), "spread": np.std(costs[3:6])}
    assert result[1:] == [{"feature": name, "mean": 0.0, "spread": 0.0} for name in "ac"]
    assert np.array_equal(data.features, before)


def test_of_many_rows_four_thousand_are_enough() -> None:
    sizes: list[int] = []

    def asked(table: Floats) -> Floats:
        sizes.append(len(table))
        return np.full(len(table), 0.3)

    for count in (4_000, 4_001):
        importance(asked, answered(count), ("a", "b", "c"), 7)
    assert set(sizes) == {4_000}
    first, again = (importance(knows_the_second, answered(5_000), ("a", "b", "c"), 7) for _ in range(2))
    assert first == again


def test_what_was_read_is_told_symbol_by_symbol() -> None:
    holed = bars([1, 2, 3, 4, 5])
    keep = np.array([True, True, False, True, True])
    data = rows(reversal=[1, 1, 0, 0], side=[1, 0, 1, 1])
    assert describe({"A": holed.part(keep), "B": bars([1, 2], start=288)}, data) == {
        "symbols": [
            {"symbol": "A", "candles": 4, "first": "1970-01-01T00:00:00+00:00",
             "last": "1970-01-01T00:20:00+00:00", "stretches": 2},
            {"symbol": "B", "candles": 2, "first": "1970-01-02T00:00:00+00:00",
             "last": "1970-01-02T00:05:00+00:00", "stretches": 1},
        ],
        "rows": 4, "candidates": 3, "positives": 2, "base_rate": 0.5, "candidate_base_rate": 1 / 3,
    }  # fmt: skip


def test_no_row_and_no_candidate_have_a_rate_of_nothing() -> None:
    described = describe({}, rows(reversal=np.zeros(0, np.int8)))
    assert (described["rows"], described["base_rate"], described["candidate_base_rate"]) == (0, 0, 0)
    assert describe({}, rows(reversal=[1], side=[0]))["base_rate"] == 1


def test_a_finished_model_is_scored_on_the_hold_out_beside_baselines_from_before_it() -> None:
    random = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, 2_600)))
    series = {"A": bars(close)}
    recipe = Recipe(
        label=LabelRule("fixed", 0.005),
        holdout_days=1,
        history_days=20,
        folds=2,
        embargo=0,
        seed=3,
        importance=False,
    )

    def falling(table: Floats) -> Floats:
        return np.clip(0.5 - table[:, 0] / 1_000, 0.05, 0.95)

    report = rescore(falling, PRICE, recipe, series, FIVE)
    assert (report["label"], report["trained"], report["folds"], report["walk_forward"], report["seconds"]) == (
        recipe.label.text, None, [], None, {},
    )  # fmt: skip
    scored = report["holdout"]
    assert scored is not None
    last = 2_600 - 1 - 5  # the last bar with a label
    assert scored["period"] == period(Window(last + 1 - 288, last + 1), FIVE, 288.0)
    assert (scored["champion"], scored["champion_name"]) == (None, "")
    known = evaluation.dataset.gather(series, FIVE, PRICE, recipe.label, {"A": close[:, None]})
    before, held = known.between(0, last + 1 - 288 - 5).candidates, known.between(last + 1 - 288, last + 1)
    assert report["data"] == describe(series, known)
    chosen = held.candidates
    constant = np.full(len(chosen), before.positives / len(before))
    left = evaluation.LeftMove(before).predict(chosen)
    threshold = metrics.best_threshold(before.reversal, falling(before.features))
    forecasts = Forecasts(chosen, falling(chosen.features), constant, left)
    assert scored == holdout(forecasts, held, Window(last + 1 - 288, last + 1), recipe, threshold)
    assert report["importance"] == importance(falling, chosen, ("price",), 3)


def incumbent(schema: Schema, asked: list[Floats]) -> Incumbent:
    def predict(table: Floats) -> Floats:
        asked.append(table.copy())
        return table[:, 0] / 1_000

    return Incumbent("old", schema, predict, None)


def test_an_incumbent_of_the_same_schema_is_asked_with_the_rows_as_they_are() -> None:
    asked: list[Floats] = []
    data = rows(features=[[110.0], [50.0]])
    assert incumbent(PRICE, asked).forecast(data, PRICE, {}).tolist() == [0.11, 0.05]
    assert asked[0].tolist() == data.features.tolist()


def test_an_incumbent_of_another_schema_is_asked_with_its_own_features_of_the_same_bars() -> None:
    asked: list[Floats] = []
    series = {"A": bars([10, 20, 30, 40]), "B": bars([100, 200, 300], start=2)}
    data = Dataset(
        ("A", "B"), FIVE, np.array([1, 2, 3, 3]), np.array([0, 1, 0, 1], np.int16), np.zeros((4, 1)),
        np.zeros(4, np.int8), np.ones(4, np.int8), np.ones(4),
    )  # fmt: skip
    assert incumbent(HALF, asked).forecast(data, PRICE, series).tolist() == [0.01, 0.05, 0.02, 0.1]
    assert asked[0].tolist() == [[10], [50], [20], [100]]


def test_without_rows_an_incumbent_is_not_asked() -> None:
    asked: list[Floats] = []
    assert incumbent(HALF, asked).forecast(rows(reversal=np.zeros(0, np.int8)), PRICE, {}).shape == (0,)
    assert asked == []


def test_bars_before_a_bar_are_counted_in_its_own_stretch() -> None:
    times = np.array([0, 300, 600, 1_200, 1_500, 3_000])
    assert preceding(times, 300).tolist() == [0, 1, 2, 0, 1, 0]
    assert preceding(times[:0], 300).tolist() == []


class Half:
    """A model that says of each candidate its price in thousandths, and what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[Floats] = []

    def fit(self, X: Floats, y: object) -> None:  # noqa: N803 - scikit-learn's name
        """Learn nothing."""

    def predict_proba(self, X: Floats) -> Floats:  # noqa: N803 - scikit-learn's name
        self.asked.append(X.copy())
        return np.column_stack([1 - X[:, 0] / 1_000, X[:, 0] / 1_000])


RULE = LabelRule("fixed", 0.02, window=2, look_back=20)


def scorer(model: Half, look_back: int = 0) -> Scorer:
    return Scorer(model, replace(PRICE, look_back=look_back), RULE, FIVE)


def test_a_bar_needs_what_its_features_its_threshold_and_its_window_look_back_on() -> None:
    assert scorer(Half()).need == 20
    assert scorer(Half(), look_back=33).need == 33
    wide = replace(scorer(Half()), rule=LabelRule("fixed", 0.02, window=50, look_back=20))
    assert wide.need == 50


def test_bars_later_than_asked_for_are_scored_and_those_without_a_side_have_no_probability() -> None:
    model = Half()
    close = [100.0] * 24
    close[21], close[23] = 110.0, 99.9
    scores = score_bars(scorer(model), [(7, bars(close), 20 * FIVE), (8, bars([5.0] * 22), -1)])
    plain = [(row.instrument_id, row.open_time // FIVE, row.side, row.probability) for row in scores]
    # Bar 22 fell from 110; bar 23 lies as far from 110 but a tenth below 100.
    assert plain == [
        (7, 21, "peak", 0.11),
        (7, 22, "trough", 0.1),
        (7, 23, "trough", 0.0999),
        (8, 20, "none", 0.0),
        (8, 21, "none", 0.0),
    ]
    assert [row.features.tolist() for row in scores] == [[110], [100], [99.9], [5], [5]]
    assert model.asked[0].tolist() == [[110], [100], [99.9]]
    assert isinstance(scores[0], BarScore)


def test_without_a_bar_that_is_known_nothing_is_asked() -> None:
    model = Half()
    assert score_bars(scorer(model), [(7, bars([100.0] * 20), -1)]) == []
    assert score_bars(scorer(model), []) == []
    assert [row.side for row in score_bars(scorer(model), [(7, bars([100.0] * 21), -1)])] == ["none"]
    assert model.asked == []


def test_a_bar_whose_features_are_missing_is_left_out() -> None:
    def missing(bars: object, out: Floats) -> None:
        out[:] = np.nan

    one = replace(scorer(Half()), schema=Schema("none", ("none",), 0, missing, "nothing"))  # type: ignore[arg-type]
    assert score_bars(one, [(7, bars([100.0] * 30), -1)]) == []


def test_a_score_is_the_same_however_many_bars_come_before_and_after() -> None:
    from market.feeds.simulator import simulate

    long = simulate(["BTCUSDT"], seed=3, count=700)["BTCUSDT"]
    one = Scorer(Half(), DESK_1, PROFILES["default"], FIVE)
    last = int(long.open_time[-3])
    every = score_bars(one, [(1, long, last)])
    part = long.part(np.arange(700) >= 700 - 2 - one.need)
    alone = score_bars(one, [(1, part, last)])
    assert [row.open_time for row in every] == [row.open_time for row in alone] == [last + 300, last + 600]
    assert all(
        np.array_equal(a.features, b.features) and a.side == b.side for a, b in zip(every, alone, strict=True)
    )
