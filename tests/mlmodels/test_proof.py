"""The honesty suite: it holds on an honest pipeline, and fails where one fools oneself."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from market.bars import Bars
from mlmodels.pipeline import dataset, features, labels, leakage
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import DESK_1, V25, Floats, Schema
from mlmodels.pipeline.leakage import LeakFound
from mlmodels.pipeline.report import Verdict
from mlmodels.proof import canary, challengers, markets, noise, suite, thresholds, trials, truncation
from mlmodels.proof import subject as subjects
from mlmodels.proof.subject import Subject

FIVE = 300
TINY = suite.Trials(bars=8, shuffle=1, random_walk=1, same_recipe=1, power=1, canary=1)


def nothing(share: float) -> None:
    """Tell nobody."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Many small fits are far slower with several threads where other tests run beside them."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def small() -> Subject:
    return subjects.simulated(bars=subjects.WINDOW_BARS)


def look_ahead(bars: Bars, out: Floats) -> None:
    """A small and plausible mistake: the mean of bars around, instead of before, a bar."""
    DESK_1.compute(bars, out)
    out[:, 4] = np.convolve(bars.close, np.ones(3) / 3, "same") / bars.close - 1


def test_an_honest_schema_passes_both_experiments_on_values(small: Subject) -> None:
    for experiment in (truncation.truncation, truncation.warm_up):
        result = experiment(small, 12, nothing)
        assert result["ok"], result
        assert result["trials"]
        assert not result.get("detail")


def test_a_feature_that_looks_one_bar_ahead_fails_truncation_and_is_named(
    small: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEMAS, "desk-1", replace(DESK_1, compute=look_ahead))
    result = truncation.truncation(small, 12, nothing)
    assert not result["ok"]
    assert result["detail"] == ["differs: desk-1.sma_20_distance"]


def test_a_prediction_that_depends_on_what_it_is_asked_with_is_named(
    small: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truncation, "_predicted", lambda model, rows: rows[-1:, 0] * len(rows))
    assert truncation.truncation(small, 12, nothing)["detail"] == ["differs: prediction"]


def test_a_leak_in_the_desks_own_schema_makes_no_experiment_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMAS, "desk-1", replace(DESK_1, compute=look_ahead))
    monkeypatch.setattr(suite, "experiments", lambda trials: [(noise.SHUFFLE, noise.shuffle, 1)])
    (result,) = suite.run(subjects.simulated(bars=subjects.WINDOW_BARS), suite.ignore_progress)
    assert not result["ok"]
    assert result["found"].startswith("the pipeline refused: sma_20_distance knows the future")


def test_a_look_back_that_is_too_short_fails_warm_up(small: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMAS, "v25", replace(V25, look_back=60))
    result = truncation.warm_up(small, 12, nothing)
    assert not result["ok"]
    assert "differs: v25.macd" in result["detail"]
    assert "differs: v25.sma_20" not in result["detail"]


def test_permuted_labels_are_the_same_labels_elsewhere(small: Subject) -> None:
    known = dataset.features_of(small.series, FIVE, DESK_1)
    data = dataset.gather(small.series, FIVE, DESK_1, small.recipe.label, known)
    moved = noise.permuted(1)(data)
    assert moved.positives == data.positives
    assert (moved.reversal[data.side == labels.NONE] == labels.NOTHING).all()
    agree = (moved.candidates.reversal == data.candidates.reversal).mean()
    rate = data.candidates.positives / len(data.candidates)
    assert agree == pytest.approx(rate**2 + (1 - rate) ** 2, abs=0.03)


def test_a_market_without_signal_promotes_nobody_and_an_effect_is_found(small: Subject) -> None:
    walked = noise.random_walk(small, 2, nothing)
    assert (walked["ok"], walked["count"], walked["trials"]) == (True, 0, 2)
    assert "mean skill over the constant forecast: -" in walked["detail"][0]
    result = challengers.power(small, 1, nothing)
    assert (result["ok"], result["count"]) == (True, 1)


def test_the_effect_begins_where_it_begins() -> None:
    plain, changed = markets.without_signal(3, 1_000), markets.with_effect(3, 1_000, 500)
    for symbol in markets.SYMBOLS:
        before, after = plain[symbol], changed[symbol]
        assert np.allclose(before.close[:500], after.close[:500])
        assert not np.allclose(before.close[520:], after.close[520:])
        assert (after.low <= np.minimum(after.open, after.close)).all()
        assert (after.high >= np.maximum(after.open, after.close)).all()


def test_another_seed_is_another_model_on_the_same_rows(small: Subject) -> None:
    drawn = [challengers._drawn(small, small.window(0, 1), seed, None) for seed in (1, 1, 2)]
    rows = features.compute(DESK_1, small.series["BTCUSDT"], FIVE)[-400:]
    first, again, other = (trial.predict(rows) for trial in drawn)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len({trial.trained_to for trial in drawn}) == 1


def verdicts(promoted: int, kept: int, unjudged: int = 0) -> list[Verdict]:
    outcomes = ["promote"] * promoted + ["keep"] * kept + ["insufficient"] * unjudged
    return [{"outcome": outcome} for outcome in outcomes]  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("promoted", "kept", "unjudged", "ok"),
    [
        (2, 38, 0, True),
        (3, 37, 0, False),
        (0, 19, 0, True),
        (1, 18, 0, False),
        (0, 10, 10, True),
        (0, 9, 11, False),
        (0, 0, 5, False),
    ],
)
def test_at_most_5_percent_counts_what_could_be_judged(promoted: int, kept: int, unjudged: int, ok: bool) -> None:
    result = thresholds.promotions("x", "", verdicts(promoted, kept, unjudged), "at most", thresholds.MOST_WRONG)
    assert result["ok"] is ok
    assert (result["count"], result["trials"]) == (promoted, promoted + kept)


@pytest.mark.parametrize(("promoted", "ok"), [(32, True), (31, False)])
def test_at_least_80_percent_shows_its_interval(promoted: int, ok: bool) -> None:
    result = thresholds.promotions("x", "", verdicts(promoted, 40 - promoted), "at least", thresholds.LEAST_FOUND)
    assert result["ok"] is ok
    assert result["share"] is not None
    assert result["share"]["low"] < promoted / 40 < result["share"]["high"]


def test_every_canary_is_caught_and_named_and_honest_features_are_not_accused(small: Subject) -> None:
    result = canary.leak_canary(small, 1, nothing)
    assert result["ok"], result
    assert result["trials"] == len(SCHEMAS) * 6


@pytest.fixture(scope="module")
def window(small: Subject) -> dict[str, Bars]:
    return {"BTCUSDT": small.series["BTCUSDT"]}


def table(schema: Schema, window: dict[str, Bars]) -> tuple[dict[str, Floats], Dataset]:
    known = dataset.features_of(window, FIVE, schema)
    return known, dataset.gather(window, FIVE, schema, Recipe().label, known)


def test_a_leak_says_which_feature_at_which_bar_with_and_without_the_future(window: dict[str, Bars]) -> None:
    schema = replace(DESK_1, compute=look_ahead)
    with pytest.raises(LeakFound, match=r"sma_20_distance knows the future: at bar \d+ of BTCUSDT") as caught:
        leakage.check(schema, window, *table(schema, window))
    assert caught.value.names == ("sma_20_distance",)


def test_two_leaks_are_both_named(window: dict[str, Bars]) -> None:
    poisons = canary.canaries(Recipe().label, FIVE)

    def both(bars: Bars, out: Floats) -> None:
        look_ahead(bars, out[:, :-1])
        poisons["the next close"](bars, out[:, -1])

    schema = replace(DESK_1, features=(*DESK_1.features, "tomorrow"), compute=both)
    with pytest.raises(LeakFound) as caught:
        leakage.check(schema, window, *table(schema, window))
    assert caught.value.names == ("sma_20_distance", "tomorrow")


@pytest.mark.parametrize("noisy", [0.0, 0.02])
def test_a_feature_that_contains_the_answer_is_found_in_any_shape(window: dict[str, Bars], noisy: float) -> None:
    _, data = table(DESK_1, window)
    random = np.random.default_rng(1)
    answer = np.where(random.random(len(data)) < noisy, 1 - data.reversal, data.reversal)
    bowl = (answer * 2 - 1) * random.choice([-1, 1], len(data)) * 1.0 + answer * 9.0
    for column in (answer.astype(float), -answer.astype(float), np.abs(bowl)):
        rows = replace(data, features=np.column_stack([data.features, column])).candidates
        assert [leak.feature for leak in leakage.too_good((*DESK_1.features, "told"), rows)] == ["told"]


def test_few_reversals_accuse_nobody(window: dict[str, Bars]) -> None:
    _, data = table(DESK_1, window)
    few = data.where(np.arange(len(data)) < 300).candidates
    assert leakage.too_good(DESK_1.features, few) == []


def test_windows_are_spread_over_the_history_and_the_last_ends_with_it() -> None:
    subject = subjects.simulated(bars=12_000)
    first, middle, last = (subject.window(number, 3)["BTCUSDT"].open_time for number in range(3))
    whole = subject.series["BTCUSDT"].open_time
    assert (first[0], last[-1]) == (whole[0], whole[-1])
    assert len(first) == len(middle) == len(last) == subjects.WINDOW_BARS
    assert (middle[0] - first[0]) == (last[0] - middle[0])


def test_too_short_a_history_does_not_hold_and_says_why() -> None:
    results = suite.run(subjects.simulated(bars=3_000), suite.ignore_progress, TINY)
    shuffled = next(result for result in results if result["name"] == noise.SHUFFLE)
    assert not shuffled["ok"]
    assert "3,000 bars of candles, a trial needs 10,080" in shuffled["found"]


def test_the_whole_pipeline_gives_a_trial_its_verdict(small: Subject) -> None:
    trial = trials.attempt(small.window(0, 1), FIVE, small.schema, small.recipe)
    again = trials.attempt(
        small.window(0, 1), FIVE, small.schema, small.recipe, incumbent=trial.as_incumbent(small.schema)
    )
    assert trial.over_constant > 0
    assert again.verdict["outcome"] == "keep"
    assert again.verdict["against"] == "the incumbent"
