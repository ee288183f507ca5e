"""Every score against scikit-learn or a worked example: a figure on the model's page is a promise."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from mlmodels.pipeline import metrics
from mlmodels.pipeline.metrics import Bootstrap, ConfusionCounts

# Six rows, two of them tied.
OUTCOME = np.array([1, 0, 1, 0, 0, 1], np.int8)
FORECAST = np.array([0.9, 0.8, 0.6, 0.4, 0.4, 0.1])


def rows(seed: int = 4, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """A forecast with some skill, with ties."""
    random = np.random.default_rng(seed)
    probability = np.round(random.random(count), 2)
    return (random.random(count) < probability).astype(np.int8), probability


def rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]


def test_log_loss_is_that_of_scikit_learn_row_by_row() -> None:
    outcome, probability = rows()
    each = metrics.log_loss(outcome, np.clip(probability, 0.01, 0.99))
    assert each.mean() == pytest.approx(reference.log_loss(outcome, np.clip(probability, 0.01, 0.99)))
    assert metrics.log_loss(OUTCOME, FORECAST).tolist() == pytest.approx(
        [-math.log(p) for p in (0.9, 0.2, 0.6, 0.6, 0.6, 0.1)]
    )


def test_no_forecast_counts_as_certain() -> None:
    wrong = metrics.log_loss(np.array([1, 0], np.int8), np.array([0.0, 1.0]))
    assert wrong.tolist() == pytest.approx([-math.log(1e-6)] * 2)
    right = metrics.log_loss(np.array([0, 1], np.int8), np.array([0.0, 1.0]))
    assert right.tolist() == pytest.approx([1e-6] * 2, rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_scikit_learn_ties_included(seed: int) -> None:
    outcome, probability = rows(seed)
    expected = reference.average_precision_score(outcome, probability)
    assert metrics.average_precision(outcome, probability) == pytest.approx(expected)
    assert metrics.precision_or_none(outcome, probability) == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    # Recall grows by a third at 0.9 (1 of 1), at 0.6 (2 of 3) and at 0.1 (3 of 6).
    assert metrics.average_precision(OUTCOME, FORECAST) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)


def test_weighed_average_precisions_are_those_of_scikit_learn() -> None:
    outcome, probability = rows()
    weights = np.random.default_rng(1).integers(0, 4, size=(5, len(outcome))).astype(float)
    weights[0, probability > 0.9] = 0  # the highest rows have no weight at all
    expected = [reference.average_precision_score(outcome, probability, sample_weight=row) for row in weights]
    assert metrics.average_precisions(outcome, probability, weights).tolist() == pytest.approx(expected)


def test_without_a_positive_there_is_no_average_precision() -> None:
    nothing = np.zeros(4, np.int8)
    forecast = np.array([0.1, 0.2, 0.3, 0.4])
    assert math.isnan(metrics.average_precision(nothing, forecast))
    assert metrics.precision_or_none(nothing, forecast) is None
    scored = metrics.scores(nothing, forecast, Bootstrap(np.arange(4), 1, 50), threshold=0.5)
    assert (scored["pr_auc"], scored["positives"], scored["base_rate"]) == (None, 0, 0.0)


def test_an_interval_is_from_the_5th_to_the_95th_percentile() -> None:
    given_ = metrics.interval(7, np.arange(101.0))
    assert given_ == {"value": 7.0, "low": 5.0, "high": 95.0}


def test_a_lower_bound_is_the_quantile_while_twenty_resamples_lie_below_it() -> None:
    resampled = np.random.default_rng(3).exponential(size=400)
    assert metrics.lower_bound(resampled, 0.05) == np.quantile(resampled, 0.05)
    normal = resampled.mean() + NormalDist().inv_cdf(0.049) * resampled.std(ddof=1)
    assert metrics.lower_bound(resampled, 0.049) == pytest.approx(normal)


def test_a_resample_is_whole_blocks_of_twelve_bars_around_the_clock() -> None:
    boot = Bootstrap(np.arange(100, 148), seed=2, resamples=30)
    assert (boot.bars, boot.block, boot.starts.shape) == (48, 12, (30, 4))
    assert metrics.BLOCK_BARS == 12
    for number in range(30):
        weights = boot.weights(number)
        assert weights.dtype == float
        expected = np.zeros(48)
        for start in boot.starts[number]:
            for step in range(12):
                expected[(start + step) % 48] += 1
        assert weights.tolist() == expected.tolist()


def test_every_bar_of_the_clock_can_begin_a_block() -> None:
    starts = Bootstrap(np.arange(30), seed=2).starts
    assert starts.shape == (metrics.RESAMPLES, 3)
    assert set(starts.ravel().tolist()) == set(range(30))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(-5, 5)), min_size=1, max_size=60),
    st.integers(0, 1000),
)
def test_means_of_resamples_are_the_weighed_means_of_their_rows(pairs: list[tuple[int, float]], seed: int) -> None:
    time, values = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    boot = Bootstrap(time, seed, resamples=6)
    for number, mean in enumerate(boot.means(values)):
        weights = boot.weights(number)
        total = weights.sum()
        assert mean == pytest.approx((weights * values).sum() / max(total, 1), abs=1e-9)


def test_a_resample_has_about_as_many_rows_as_there_are() -> None:
    time = np.repeat(np.arange(240), 2)
    boot = Bootstrap(time, seed=5, resamples=200)
    totals = [boot.weights(number).sum() for number in range(200)]
    assert set(totals) == {480.0}
    assert boot.means(np.ones(480)).tolist() == [1.0] * 200


def test_the_interval_of_a_mean_of_independent_rows_is_the_one_of_statistics() -> None:
    values = np.random.default_rng(8).normal(size=4_800)
    resampled = Bootstrap(np.arange(4_800), seed=1).means(values)
    assert resampled.std() == pytest.approx(1 / math.sqrt(4_800), rel=0.1)
    assert resampled.mean() == pytest.approx(values.mean(), abs=0.002)


def test_rows_of_one_block_stay_together_so_that_the_interval_is_honest() -> None:
    # Twelve equal rows after another are one observation, not twelve.
    values = np.repeat(np.random.default_rng(8).normal(size=400), 12)
    resampled = Bootstrap(np.arange(4_800), seed=1).means(values)
    assert resampled.std() > 2.5 * values.std() / math.sqrt(4_800)


def test_the_ranking_has_an_interval_around_it_from_its_own_resamples() -> None:
    outcome, probability = rows(count=600)
    boot = Bootstrap(np.arange(600), seed=3)
    scored = metrics.scores(outcome, probability, boot, threshold=0.5)["pr_auc"]
    assert scored is not None
    each = [
        reference.average_precision_score(outcome, probability, sample_weight=boot.weights(number))
        for number in range(metrics.RANKING_RESAMPLES)
    ]
    assert scored["value"] == pytest.approx(reference.average_precision_score(outcome, probability))
    assert (scored["low"], scored["high"]) == pytest.approx(tuple(np.quantile(each, [0.05, 0.95])))


def test_resamples_without_a_positive_are_left_out_of_the_rankings_interval() -> None:
    outcome = np.zeros(60, np.int8)
    outcome[5] = 1
    forecast = np.linspace(0.9, 0.1, 60)
    scored = metrics.scores(outcome, forecast, Bootstrap(np.arange(60), 1), threshold=0.5)["pr_auc"]
    assert scored is not None
    assert all(map(math.isfinite, (scored["value"], scored["low"], scored["high"])))


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    # Newcombe 1998, example 1 (81 of 263) at 95 %; and SciPy's at 90 %.
    assert metrics.wilson(81 / 263, 263, z=1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    theirs = stats.binomtest(15, 148).proportion_ci(0.9, method="wilson")
    assert metrics.wilson(15 / 148, 148) == pytest.approx((theirs.low, theirs.high), abs=2e-5)


def test_wilsons_interval_stays_a_probability() -> None:
    assert metrics.wilson(0.0, 10)[0] == 0
    assert metrics.wilson(0.0, 10)[1] == pytest.approx(1.645**2 / (10 + 1.645**2))
    assert metrics.wilson(1.0, 10)[1] == 1
    assert metrics.wilson(1.0, 10)[0] == pytest.approx(10 / (10 + 1.645**2))


def test_reliability_is_in_ten_bins_of_equally_many_rows() -> None:
    probability = np.arange(100) / 100
    outcome = (np.arange(100) % 4 == 0).astype(np.int8)
    bins = metrics.reliability(outcome, probability)
    assert [row["n"] for row in bins] == [10] * 10
    assert [row["mean"] for row in bins] == pytest.approx([number / 10 + 0.045 for number in range(10)])
    assert [row["rate"] for row in bins] == pytest.approx([0.3, 0.2] * 5)
    assert (bins[0]["low"], bins[0]["high"]) == metrics.wilson(0.3, 10)


def test_a_forecast_that_never_changes_makes_one_bin() -> None:
    [only] = metrics.reliability(OUTCOME, np.full(6, 0.4))
    assert (only["n"], only["mean"], only["rate"]) == (6, pytest.approx(0.4), 0.5)


def test_the_highest_forecast_is_in_the_last_bin() -> None:
    bins = metrics.reliability(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.2, 0.8, 0.9]), bins=2)
    assert [(row["n"], row["mean"], row["rate"]) for row in bins] == [
        (2, pytest.approx(0.15), 0.0),
        (2, pytest.approx(0.85), 1.0),
    ]


def test_the_calibration_error_is_the_mean_gap_weighed_by_rows() -> None:
    # Three bins of different size: 0.1 said and 0 seen of 6, 0.5 said and 1 seen of 2, 0.9 said and 0.5 seen of 2.
    probability = np.array([0.1] * 6 + [0.5] * 2 + [0.9] * 2)
    outcome = np.array([0] * 6 + [1, 1] + [1, 0], np.int8)
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, 11)))
    number = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, len(edges) - 2)
    gaps = [
        (number == index).sum() * abs(probability[number == index].mean() - outcome[number == index].mean())
        for index in np.unique(number)
    ]
    assert len(gaps) > 1
    assert metrics.calibration_error(outcome, probability) == pytest.approx(sum(gaps) / 10)
    assert metrics.calibration_error(outcome[:6], np.full(6, 0.1)) == pytest.approx(0.1)


def test_a_row_at_the_threshold_is_an_alarm() -> None:
    counts = ConfusionCounts.of(OUTCOME, FORECAST, 0.6)
    assert counts == ConfusionCounts(hits=2, false_alarms=1, misses=1, correct_negatives=2)
    assert (counts.precision, counts.recall, counts.accuracy) == (2 / 3, 2 / 3, 4 / 6)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.77])
def test_counts_and_rates_are_those_of_scikit_learn(threshold: float) -> None:
    outcome, probability = rows(9)
    counts, alarm = ConfusionCounts.of(outcome, probability, threshold), probability >= threshold
    (tn, fp), (fn, tp) = reference.confusion_matrix(outcome, alarm)
    assert (counts.correct_negatives, counts.false_alarms, counts.misses, counts.hits) == (tn, fp, fn, tp)
    assert counts.precision == pytest.approx(reference.precision_score(outcome, alarm))
    assert counts.recall == pytest.approx(reference.recall_score(outcome, alarm))
    assert counts.f1 == pytest.approx(reference.f1_score(outcome, alarm))
    assert counts.accuracy == pytest.approx(reference.accuracy_score(outcome, alarm))


def test_rates_without_a_row_to_judge_by_are_none() -> None:
    silent = ConfusionCounts(hits=0, false_alarms=0, misses=3, correct_negatives=5)
    assert (silent.precision, silent.recall, silent.f1) == (None, 0, 0)
    nothing = ConfusionCounts(hits=0, false_alarms=2, misses=0, correct_negatives=6)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.accuracy) == (0, None, 0, 0.75)
    assert ConfusionCounts(hits=0, false_alarms=0, misses=0, correct_negatives=6).f1 is None


@pytest.mark.parametrize("seed", range(4))
def test_the_best_threshold_has_the_highest_f1_of_all(seed: int) -> None:
    outcome, probability = rows(seed)
    best = metrics.best_threshold(outcome, probability)
    ours = ConfusionCounts.of(outcome, probability, best).f1
    every = [ConfusionCounts.of(outcome, probability, each).f1 or 0 for each in np.unique(probability)]
    assert ours == pytest.approx(max(every))


def test_the_best_threshold_by_hand_and_without_a_positive() -> None:
    # At 0.6: two of three alarms right, two of three found. At 0.1 all are alarms: F1 is 2·3/9 as well.
    outcome, forecast = np.array([0, 1, 1, 0], np.int8), np.array([0.9, 0.7, 0.6, 0.2])
    assert metrics.best_threshold(outcome, forecast) == 0.6
    assert metrics.best_threshold(np.zeros(3, np.int8), np.array([0.1, 0.2, 0.3])) == 0.5


def test_the_best_threshold_may_be_the_highest_forecast_alone() -> None:
    assert metrics.best_threshold(np.array([0, 0, 1], np.int8), np.array([0.1, 0.2, 0.9])) == 0.9


def test_the_best_threshold_is_found_where_precision_and_recall_are_low() -> None:
    # F1 by hand: 4/17 with the first group alone, 18/100 with two of them, 20/110 with all.
    forecast = np.repeat([0.9, 0.5, 0.1], [7, 83, 10])
    outcome = np.zeros(100, np.int8)
    outcome[[0, 1, 10, 11, 12, 13, 14, 15, 16, 99]] = 1
    assert metrics.best_threshold(outcome, forecast) == 0.9


def test_a_forecast_of_nothing_right_has_a_threshold_all_the_same() -> None:
    assert metrics.best_threshold(np.array([1, 0], np.int8), np.array([0.0, 0.9])) == 0.0


def test_the_curve_is_that_of_scikit_learn_from_recall_one_down() -> None:
    precision, recall, _ = reference.precision_recall_curve(OUTCOME, FORECAST)
    assert metrics.curve(OUTCOME, FORECAST) == [
        rounded([r, p]) for r, p in zip(recall[:-1], precision[:-1], strict=True)
    ]
    assert metrics.curve(OUTCOME, FORECAST)[0] == [1.0, 0.5]


def test_a_long_curve_is_thinned_to_its_points_with_both_ends() -> None:
    outcome, probability = rows(count=5_000)
    probability = probability + np.arange(5_000) / 1e7
    points = metrics.curve(outcome, probability)
    precision, recall, _ = reference.precision_recall_curve(outcome, probability)
    assert len(points) == metrics.CURVE_POINTS
    assert points[0] == rounded([recall[0], precision[0]])
    assert points[-1] == rounded([recall[-2], precision[-2]])
    assert metrics.curve(np.zeros(3, np.int8), np.array([0.1, 0.2, 0.3])) == []


def test_all_scores_of_six_rows_by_hand() -> None:
    boot = Bootstrap(np.arange(6), seed=1, resamples=200)
    constant = np.full(6, 0.5)
    scored = metrics.scores(OUTCOME, FORECAST, boot, threshold=0.6, against=constant)
    losses = [-math.log(p) for p in (0.9, 0.2, 0.6, 0.6, 0.6, 0.1)]
    errors = [0.1**2, 0.8**2, 0.4**2, 0.4**2, 0.4**2, 0.9**2]
    assert (scored["rows"], scored["positives"], scored["base_rate"]) == (6, 3, 0.5)
    assert (scored["threshold"], scored["accuracy_of_never"]) == (0.6, 0.5)
    assert scored["log_loss"]["value"] == pytest.approx(sum(losses) / 6)
    assert scored["brier"]["value"] == pytest.approx(sum(errors) / 6)
    assert scored["brier"]["value"] == pytest.approx(reference.brier_score_loss(OUTCOME, FORECAST))
    assert (scored["precision"], scored["recall"], scored["accuracy"]) == (2 / 3, 2 / 3, 4 / 6)
    assert scored["f1"] == pytest.approx(2 / 3)
    assert scored["ece"] == metrics.calibration_error(OUTCOME, FORECAST)
    skill = scored["skill"]
    assert skill is not None
    assert skill["value"] == pytest.approx(1 - sum(losses) / 6 / math.log(2))


def test_skill_is_measured_against_the_constant_on_the_same_resamples() -> None:
    outcome, probability = rows()
    boot, constant = Bootstrap(np.arange(400), 1), np.full(400, outcome.mean())
    clipped = np.clip(probability, 0.02, 0.98)
    scored = metrics.scores(outcome, clipped, boot, threshold=0.5, against=constant)
    ours, floor = metrics.log_loss(outcome, clipped), metrics.log_loss(outcome, constant)
    each = 1 - boot.means(ours) / boot.means(floor)
    skill = scored["skill"]
    assert skill is not None
    assert (skill["low"], skill["high"]) == pytest.approx(tuple(np.quantile(each, [0.05, 0.95])))
    assert skill["low"] < skill["value"] < skill["high"]
    low, high = np.quantile(boot.means(ours), [0.05, 0.95])
    assert (scored["log_loss"]["low"], scored["log_loss"]["high"]) == pytest.approx((low, high))
    brier = boot.means((clipped - outcome) ** 2)
    assert scored["brier"]["high"] == pytest.approx(np.quantile(brier, 0.95))
    assert metrics.scores(outcome, clipped, boot, threshold=0.5)["skill"] is None


def test_the_accuracy_of_never_is_the_share_without_a_reversal() -> None:
    outcome = np.array([1, 0, 0, 0], np.int8)
    scored = metrics.scores(outcome, np.full(4, 0.3), Bootstrap(np.arange(4), 1, 200), threshold=0.5)
    assert (scored["accuracy_of_never"], scored["base_rate"], scored["accuracy"]) == (0.75, 0.25, 0.75)
