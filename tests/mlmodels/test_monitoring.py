"""Live skill: weeks, reliability, drift, what makes a retrain early, and the figures made of it."""

import math
from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlmodels.inference import monitoring
from mlmodels.models import Prediction, TrainingRun
from mlmodels.models.registry import MAX_CHAMPION_AGE
from mlmodels.pipeline import drift
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.features import DESK_1
from mlmodels.registry.families import FamilyKey
from tests.support.ml_models import KEY, START, TIMEFRAME, bars_of, make_version, store

WEEK = timedelta(days=7)
GOOD, BLIND, WRONG = 0.8, 0.3, 0.02  # what is said of reversals; the rest is said of what is none


@pytest.fixture
def version(db):
    return make_version(with_model=False, report=report(0.4))


def report(promised: float) -> dict:
    return {
        "data": {"candidate_base_rate": 0.3},
        "holdout": {"model": {"skill": {"value": promised, "low": promised - 0.1, "high": promised + 0.1}}},
    }


def week_of(version, number: int, forecast: float, candidates: int = 100, quiet: int = 20) -> None:
    """Let three in ten candidates of a week be reversals, predicted with `forecast`, the others with 1 − it."""
    instrument = store("BTCUSDT", bars_of(["BTCUSDT"], 1, start=START - WEEK * (number + 9))["BTCUSDT"])
    length = timedelta(seconds=monitoring.week_seconds(version))
    start, step = START + length * number, length / (candidates + quiet)
    Prediction.objects.bulk_create(
        Prediction(
            instrument=instrument, timeframe=version.timeframe, open_time=start + step * row, market="live",
            version=version, schema_hash=version.schema_hash, labelled_at=timezone.now(), features=[0.0] * 9,
            **one(row, forecast, row < candidates),
        )
        for row in range(candidates + quiet)
    )  # fmt: skip


def one(row: int, forecast: float, candidate: bool) -> dict:
    reversal = row % 10 < 3
    if not candidate:
        return {"label": False, "side": "none", "probability": 0.0}
    return {
        "label": reversal,
        "side": "peak",
        "probability": forecast if reversal or forecast == BLIND else 1 - forecast,
    }


@pytest.mark.django_db
def test_a_week_has_the_skill_of_its_predictions_beside_the_base_rate_of_training(version) -> None:
    week_of(version, 0, GOOD)
    (week,) = monitoring.weekly(version.pk)
    constant = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7))
    assert (week.week, week.n, week.candidates, week.positives) == (START, 120, 100, 30)
    assert week.log_loss == pytest.approx(-math.log(GOOD))
    assert week.constant == pytest.approx(constant)
    assert week.skill == pytest.approx(1 + math.log(GOOD) / constant)
    assert week.low <= week.skill <= week.high
    assert not week.complete


@pytest.mark.django_db
def test_saying_the_base_rate_has_no_skill(version) -> None:
    week_of(version, 0, BLIND)
    assert monitoring.weekly(version.pk)[0].skill == pytest.approx(0)


@pytest.mark.django_db
@pytest.mark.parametrize("candidates", [29, 11])
def test_a_week_with_too_little_evidence_says_nothing(version, candidates) -> None:
    week_of(version, 0, GOOD, candidates=candidates)
    week = monitoring.weekly(version.pk)[0]
    assert week.candidates == candidates
    assert (week.skill, week.low, week.high, week.log_loss, week.constant) == (None,) * 5


@pytest.mark.django_db
def test_a_version_whose_training_is_not_known_has_no_skill() -> None:
    imported = make_version(with_model=False, report={})
    week_of(imported, 0, GOOD)
    assert monitoring.weekly(imported.pk)[0].skill is None


@pytest.mark.django_db
def test_weeks_come_oldest_first_and_at_most_so_many(version, django_assert_num_queries) -> None:
    for number in range(4):
        week_of(version, number, GOOD)
    with django_assert_num_queries(4):
        weeks = monitoring.weekly(version.pk, weeks=3)
    assert [week.week for week in weeks] == [START + WEEK * number for number in (1, 2, 3)]
    assert [week.complete for week in weeks] == [True, True, False]


@pytest.mark.django_db
def test_a_week_in_which_nothing_was_predicted_keeps_its_place(version) -> None:
    for number in (0, 3):
        week_of(version, number, GOOD)
    weeks = monitoring.each_week(version, monitoring.weekly(version.pk))
    assert [week.week for week in weeks] == [START + WEEK * number for number in range(4)]
    assert [week.skill is None for week in weeks] == [False, True, True, False]
    assert monitoring.each_week(version, []) == []


@pytest.mark.django_db
def test_a_simulated_week_is_seven_days_of_movement() -> None:
    key = FamilyKey(5, simulated=True)
    fast = make_version(key, with_model=False, recipe=Recipe(bars_per_day=288).as_json())
    assert monitoring.week_seconds(fast) == 7 * 288 * 5
    week_of(fast, 0, GOOD)
    week_of(fast, 1, GOOD)
    assert [week.candidates for week in monitoring.weekly(fast.pk)][-1] <= 100
    assert sum(week.candidates for week in monitoring.weekly(fast.pk)) == 200


@pytest.mark.django_db
def test_without_predictions_there_are_no_weeks_no_reliability_and_no_drift(version) -> None:
    assert (monitoring.weekly(version.pk), monitoring.reliability_live(version.pk), monitoring.drift(version)) == (
        [],
        [],
        [],
    )


@pytest.mark.django_db
def test_reliability_compares_what_was_said_with_how_often_it_came_true(version) -> None:
    week_of(version, 0, GOOD)
    bins = monitoring.reliability_live(version.pk)
    assert sum(row["n"] for row in bins) == 100
    assert [(round(row["mean"], 2), row["rate"]) for row in bins] == [(0.2, 0.0), (0.8, 1.0)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("skills", "why"),
    [
        ([GOOD, GOOD], ""),
        ([GOOD, WRONG], "below zero"),
        ([WRONG, GOOD], ""),
        ([BLIND, BLIND], "below half"),
        ([GOOD, BLIND], ""),
        ([BLIND], ""),
    ],
)
def test_skill_fell_when_it_is_below_zero_or_twice_below_half_of_what_was_promised(version, skills, why) -> None:
    # A breath above zero: always saying the base rate is neither skill nor the loss of it.
    for number, forecast in enumerate(skills):
        week_of(version, number, forecast)
    Prediction.objects.filter(label=True, probability=BLIND).update(probability=BLIND + 0.01)
    week_of(version, len(skills), WRONG)  # this week is not over
    assert (why in monitoring.degradation_reason(version)) if why else monitoring.degradation_reason(version) == ""


@pytest.mark.django_db
def test_weeks_without_evidence_are_no_reason_to_train(version) -> None:
    week_of(version, 0, WRONG)
    week_of(version, 1, WRONG, candidates=20)
    week_of(version, 2, GOOD)
    assert monitoring.degradation_reason(version) == ""


@pytest.mark.django_db
def test_fallen_skill_asks_for_one_training_a_week_and_says_why(version) -> None:
    week_of(version, 0, WRONG)
    week_of(version, 1, GOOD)
    assert (monitoring.retrain_degraded(), monitoring.retrain_degraded()) == (1, 0)
    run = TrainingRun.objects.get()
    assert (run.trigger, run.family) == ("skill", version.family)
    assert "below zero" in run.log[-1]["text"]
    TrainingRun.objects.update(state="succeeded", finished_at=timezone.now())
    assert monitoring.retrain_degraded() == 0
    TrainingRun.objects.update(created_at=timezone.now() - WEEK)
    assert monitoring.retrain_degraded() == 1


@pytest.mark.django_db
def test_only_champions_are_watched(version) -> None:
    week_of(version, 0, WRONG)
    week_of(version, 1, GOOD)
    type(version).objects.update(state="retired")
    assert monitoring.retrain_degraded() == 0


@pytest.mark.django_db
def test_drift_is_that_of_last_weeks_candidates_against_the_training(version) -> None:
    generator = np.random.default_rng(1)
    version.report = {"deciles": drift.deciles(generator.normal(size=(5000, 9)), DESK_1.features)}
    week_of(version, 0, GOOD, candidates=400, quiet=0)
    rows = list(Prediction.objects.all())
    for row in rows:
        row.features = [*generator.normal(size=8), float(generator.normal(loc=3))]
    Prediction.objects.bulk_update(rows, ["features"])
    drifts = monitoring.drift(version)
    assert (drifts[0].feature, drifts[0].reading, drifts[0].n) == (DESK_1.features[-1], "far", 400)
    assert {item.reading for item in drifts[1:]} == {"steady"}


def test_below_a_hundred_rows_drift_says_nothing() -> None:
    rows = np.random.default_rng(1).normal(size=(500, 1))
    assert drift.compare(drift.deciles(rows, ["x"]), ["x"], rows[:99]) == []


@given(
    arrays(float, st.integers(20, 300), elements=st.floats(-5, 5)), arrays(float, 50, elements=st.floats(-9, 9))
)
def test_the_stability_index_is_finite_and_never_negative(training, live) -> None:
    reference = drift.deciles(training[:, None], ["x"])["x"]
    value = drift.psi(reference, live)
    assert math.isfinite(value)
    assert value >= 0


@pytest.mark.parametrize("values", [np.arange(2000.0), np.repeat([0.0, 1.0, 2.0], 700), np.zeros(2000)])
def test_the_same_distribution_has_no_drift_also_with_ties(values) -> None:
    reference = drift.deciles(values[:, None], ["x"])["x"]
    assert drift.psi(reference, values) < 0.02


def figures(client: Client) -> dict[str, float]:
    text = client.get("/prometheus").content.decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


@pytest.mark.django_db
def test_the_figures_tell_who_speaks_how_well_and_how_long_still(client: Client, version) -> None:
    week_of(version, 0, GOOD)
    week_of(version, 1, GOOD)
    TrainingRun.objects.create(
        family=KEY.slug, timeframe=TIMEFRAME, simulated=False, trigger="manual", recipe={}, state="succeeded",
        finished_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip
    values = figures(client)
    family = f'family="{version.family}"'
    assert values[f"algotrendy_model_speaks{{{family}}}"] == 1
    assert values[f"algotrendy_model_champion_age_seconds{{{family}}}"] == pytest.approx(86_400, abs=60)
    left = (MAX_CHAMPION_AGE - timedelta(days=1)).total_seconds()
    assert values[f"algotrendy_model_champion_expires_seconds{{{family}}}"] == pytest.approx(left, abs=60)
    assert values[f'algotrendy_model_skill{{{family},rows="held-out"}}'] == pytest.approx(0.4)
    assert values[f'algotrendy_model_skill{{{family},rows="last-week"}}'] > 0.5
    assert 0 <= values[f"algotrendy_prediction_age_seconds{{{family}}}"] < 60
    assert values['algotrendy_training_runs{state="queued"}'] == 0
    assert values["algotrendy_training_last_finished_age_seconds"] == pytest.approx(3600, abs=60)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "silent", [{"promoted_at": timezone.now() - MAX_CHAMPION_AGE}, {"notes": ["It can't speak: forged"]}]
)
def test_a_champion_that_is_too_old_or_cant_be_opened_does_not_speak_in_the_figures(client, silent) -> None:
    version = make_version(with_model=False, report={}, **silent)
    assert figures(client)[f'algotrendy_model_speaks{{family="{version.family}"}}'] == 0


@pytest.mark.django_db
def test_a_market_without_a_champion_is_a_figure_too(client: Client) -> None:
    store("BTCUSDT", bars_of(["BTCUSDT"], 1)["BTCUSDT"])
    assert figures(client)[f'algotrendy_model_speaks{{family="{KEY.slug}"}}'] == 0
