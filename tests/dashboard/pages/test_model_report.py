"""The page of one version: every number of its report, how it does since, and its predictions on the price."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import plots
from dashboard.labels import STATES
from dashboard.live import dependencies
from dashboard.selectors import ml_models, model_report
from memory.models import Decision
from mlmodels.models import ModelVersion, Prediction, Promotion, ProofRun, TrainingRun
from mlmodels.pipeline.progress import Step
from tests.support import model_pages as make
from tests.support import pages as desk

SHARES = st.floats(0, 1)


@pytest.fixture
def viewer(db: None) -> Client:
    return desk.signed_in(desk.person("viewer"))


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def test_the_report_shows_each_score_with_its_interval_beside_both_baselines(viewer: Client) -> None:
    page = text(viewer, f"/models/{make.version('champion').name}")
    for words in ("Log-loss", "0.5217", "0.5107 to 0.5327", "0.5752", "0.5561", "Left move alone", "5,120"):
        assert words in page
    assert "Accuracy of always saying “no”" in page
    assert "73.8 %" in page
    assert page.count("<svg") > 12


def test_the_champion_it_had_to_beat_stands_beside_it(viewer: Client) -> None:
    made = make.version(report=make.report(champion="20250101_000000"))
    page = text(viewer, f"/models/{made.name}")
    assert "20250101_000000<br>champion then" in page
    assert "0.5249" in page


def test_the_gate_is_shown_with_every_condition_number_and_limit(viewer: Client) -> None:
    page = text(viewer, f"/models/{make.version().name}")
    verdict = page[page.index("What the gate said") :]
    for words in ("1,341", "≥ 100", "Beats the left move alone", "✕ Not met", "−0.0012", "&gt; 0.0000", "99.2 %"):
        assert words in verdict


def test_the_figures_of_a_promotion_are_called_estimates_that_flatter(viewer: Client) -> None:
    champion, rejected = make.version("champion"), make.version("rejected")
    assert "a third to a sixth of the estimate" in text(viewer, f"/models/{champion.name}")
    assert "a third to a sixth" not in text(viewer, f"/models/{rejected.name}")
    assert "about 5 % pass" in text(viewer, f"/models/{rejected.name}")


def test_data_recipe_and_stored_model_are_told_without_reading_its_bytes(viewer: Client) -> None:
    made = make.version("champion")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        page = text(viewer, f"/models/{made.name}")
    for words in (
        "BTCUSDT",
        "93,600",
        "98,410",
        "HistGradientBoosting",
        "0f0f0f0f0f0f",
        "scikit-learn 1.9.1",
        "351",
    ):
        assert words in page
    assert not any('SELECT "mlmodels_artefact"."version_id"' in query["sql"] for query in asked.captured_queries)


def test_an_imported_version_marks_what_it_claims_beside_what_is_true(viewer: Client) -> None:
    claimed = {"accuracy": 0.9998, "metrics": {"f1_score": 0.98}, "note": "<script>"}
    made = make.version(
        "archived", origin="imported", claimed=claimed, verdict={}, notes=["21 features were asked for."]
    )
    page = text(viewer, f"/models/{made.name}")
    claims = page[page.index("What its folder claims") :]
    for words in ("CLAIMED", "0.9998", "0.9210", "metrics.f1_score", "&lt;script&gt;"):
        assert words in claims
    assert "21 features were asked for." in page
    assert "Never judged" in page
    assert "On rows it may have seen" in page
    assert "unseen rows" not in page, "nobody knows what it was trained on"


def test_a_version_that_was_trained_here_was_scored_on_unseen_rows(viewer: Client) -> None:
    page = text(viewer, f"/models/{make.version().name}")
    assert "On unseen rows" in page
    assert "may have seen" not in page


def test_a_version_without_scores_or_artefact_says_so(viewer: Client) -> None:
    made = make.version("archived", with_artefact=False, report={}, verdict={}, origin="imported")
    page = text(viewer, f"/models/{made.name}")
    assert "No scores on unseen rows" in page
    assert "none: it can't speak" in page
    assert "It has said nothing yet" in page


def test_the_page_of_a_version_asks_a_constant_number_of_queries(viewer: Client) -> None:
    champion, _ = make.promoted()
    instrument = desk.market()
    make.predictions(champion, instrument, 9)
    text(viewer, f"/models/{champion.name}")
    with CaptureQueriesContext(connection) as few:
        text(viewer, f"/models/{champion.name}")
    make.predictions(champion, desk.market("ETHUSDT"), 60)
    for _ in range(4):
        make.version()
    with CaptureQueriesContext(connection) as many:
        text(viewer, f"/models/{champion.name}")
    assert len(many) <= len(few)


def test_predictions_lie_on_the_candles_with_side_and_what_came_of_them(viewer: Client) -> None:
    made, instrument = make.version("champion"), desk.market()
    make.predictions(made, instrument, 30)
    page = text(viewer, f"/models/{made.name}")
    assert f'data-topic="predictions:{made.name}.BTCUSDT"' in page
    found = viewer.get(f"/data/predictions?version={made.name}&symbol=BTCUSDT").json()
    assert found["timeframe"] == 5
    assert len(found["predictions"]) == 20
    assert {row[2] for row in found["predictions"]} == {"peak", "trough"}
    assert {row[3] for row in found["predictions"]} == {"yes", "no", "void", "open"}
    times = {row[0] for row in found["candles"]}
    assert all(row[0] in times for row in found["predictions"])


def test_nothing_later_than_market_time_is_drawn(viewer: Client) -> None:
    made, instrument = make.version("champion"), desk.market()
    quote = instrument.quote_now
    quote.market_time -= timedelta(seconds=60)
    quote.save()
    make.predictions(made, instrument, 30)
    found = viewer.get(f"/data/predictions?version={made.name}&symbol=BTCUSDT").json()
    end = int(quote.market_time.timestamp())
    assert all(row[0] + 5 <= end for row in [*found["candles"], *found["predictions"]])


@pytest.mark.parametrize("query", ["", "?version=nobody&symbol=BTCUSDT", "?version=NAME&symbol=NOPE"])
def test_predictions_of_what_is_not_there_are_a_404(viewer: Client, query: str) -> None:
    name = make.version().name
    assert viewer.get("/data/predictions" + query.replace("NAME", name)).status_code == 404


def test_an_open_page_hears_of_its_own_version() -> None:
    of_model = {"model:20250101_000000", "model-since:20250101_000000"}
    watched = of_model | {"predictions:20250101_000000.BTCUSDT", "chart:BTCUSDT"}
    assert dependencies.related({"registry"}, watched) == of_model
    assert dependencies.related({"predicted"}, watched) == {"predictions:20250101_000000.BTCUSDT"}


def test_a_decision_shows_what_the_model_said_and_that_it_has_no_weight(viewer: Client) -> None:
    taken = desk.decided(desk.source(), desk.market())
    decision = desk.decision_of(taken)
    old = {key: value for key, value in decision.evidence.items() if key != "prediction"}
    Decision.objects.filter(pk=decision.pk).update(evidence=old)
    assert "no weight in the confidence" not in text(viewer, f"/decisions/{decision.pk}")
    said = {
        "version": make.version("champion").name, "family": make.FAMILY, "probability": 0.413, "side": "trough",
        "stance": "supports", "open_time": "2026-01-01T00:00:00+00:00", "candidate": True, "text": "it may rise",
    }  # fmt: skip
    Decision.objects.filter(pk=decision.pk).update(evidence={**decision.evidence, "prediction": said})
    page = text(viewer, f"/decisions/{decision.pk}")
    for words in ("41.3 %", "✓ Supports it", "It annotates: it has no weight in the confidence yet."):
        assert words in page
    nobody = said | {"version": "", "probability": None, "side": "none", "candidate": False, "stance": "silent"}
    nobody |= {"open_time": None, "text": "no model has been trained yet"}
    Decision.objects.filter(pk=decision.pk).update(evidence={**decision.evidence, "prediction": nobody})
    assert "No model spoke: no model has been trained yet." in text(viewer, f"/decisions/{decision.pk}")


def test_steps_are_named_as_the_training_names_them() -> None:
    assert list(ml_models.STEPS) == [step.value for step in Step]


@pytest.mark.parametrize(
    "choices",
    [ModelVersion.State, ModelVersion.Origin, Promotion.Kind, TrainingRun.State, Prediction.Side, ProofRun.State],
)
def test_every_state_of_models_has_a_colour_and_a_word(choices: Any) -> None:
    assert set(choices.values) <= set(STATES)


def test_a_reliability_diagram_puts_what_is_true_on_the_diagonal() -> None:
    bins = [{"n": 10, "mean": share, "rate": share, "low": share, "high": share} for share in (0.1, 0.3, 0.5)]
    found = plots.reliability(bins)
    assert found is not None
    left, bottom = plots.LEFT, plots.BOTTOM
    slopes = {round((bottom - dot.y) / (dot.x - left), 3) for dot in found.dots}
    assert len(slopes) == 1
    assert plots.reliability([]) is None


@given(st.lists(st.tuples(SHARES, SHARES, SHARES, st.integers(1, 10**6)), min_size=1, max_size=12))
def test_a_reliability_diagram_stays_inside_its_frame(rows: list[tuple[float, float, float, int]]) -> None:
    bins: Any = [
        {"n": n, "mean": mean, "rate": min(pair), "low": 0.0, "high": max(pair)} for mean, *pair, n in rows
    ]
    found = plots.reliability(bins)
    assert found is not None
    for dot in found.dots:
        assert plots.LEFT <= dot.x <= plots.RIGHT
        assert plots.TOP <= dot.high_y <= dot.y <= dot.low_y <= plots.BOTTOM
        assert plots.SMALLEST_DOT <= dot.radius <= plots.LARGEST_DOT


def test_a_curve_runs_from_the_base_rate_up_and_marks_the_threshold() -> None:
    found = plots.precision_recall(make.curve(0.7), make.curve(0.5), 0.262, (0.5, 0.4))
    assert found is not None
    points = [tuple(map(float, pair.split(","))) for pair in found.model.split()]
    assert points[0] == (plots.RIGHT, found.base_y)
    assert found.chosen_x == (plots.LEFT + plots.RIGHT) / 2
    assert plots.precision_recall([], [], 0.1) is None
    silent = plots.precision_recall(make.curve(0.7), [], 0.262, (0.0, None))
    assert silent is not None
    assert silent.chosen_x is None


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_bars_begin_at_zero_on_both_sides(values: list[float]) -> None:
    bars, zero = plots.wide_bars([("", value, value, value) for value in values])
    for bar, value in zip(bars, values, strict=True):
        edge = bar.x if value >= 0 else round(bar.x + bar.width, 1)
        assert edge == pytest.approx(zero, abs=0.11)


@given(st.lists(st.one_of(st.none(), st.floats(-3, 1)), max_size=30))
def test_weekly_skill_keeps_zero_in_the_picture(values: list[float | None]) -> None:
    weeks: Any = [("", "", value, value, value) for value in values]
    found = plots.skill(weeks, 0.2)
    assert (found is None) == all(value is None for value in values)
    if found:
        assert plots.TOP <= found.zero_y <= plots.BOTTOM
        assert len(found.y_ticks) <= 8
        assert all(week.y is None or plots.TOP <= week.y <= plots.BOTTOM for week in found.weeks)


def test_many_weeks_are_labelled_so_that_no_two_labels_meet() -> None:
    first = datetime(2025, 1, 6, tzinfo=UTC)
    labels = model_report.labels([first + timedelta(weeks=n) for n in range(30)])
    assert len([label for label in labels if label]) <= 7
    assert labels[-1]


def test_no_claim_reaches_the_page_unescaped(viewer: Client) -> None:
    made = make.version(notes=["<img src=x onerror=alert(1)>"], claimed={"<b>": "<i>"})
    assert not re.search(r"<img|<b>|<i>", text(viewer, f"/models/{made.name}"))
