"""Models: who speaks and why nobody does, training by hand, promotion by a person, proof and health."""

import re
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from dashboard.live import fragments
from dashboard.selectors import health
from dashboard.views import ml_models as views
from mlmodels.models import ModelVersion, Promotion, TrainingRun
from tests.support import model_pages as make
from tests.support.pages import confirmed, market, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forgotten_attempts() -> None:
    cache.clear()


@pytest.fixture
def admin() -> Client:
    return confirmed(signed_in(person("admin")))


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def test_an_empty_desk_says_what_will_appear_and_what_to_do(client: Client) -> None:
    page = text(signed_in(person("trader")), "/models")
    assert "No market to learn from yet" in page
    assert "./mem import_candles" in page
    assert "No models yet" in page
    assert "./mem prove" in text(signed_in(person("viewer")), "/models/proof")


def test_a_market_without_a_model_says_why_nobody_speaks() -> None:
    market()
    make.training(
        "failed", error="Not enough history: 3.1 of 35 days. Nothing was changed. Wait, or import candles."
    )
    page = fragments.render("models")
    assert "Nobody speaks" in page
    assert "3.1 of 35 days" in page
    assert "SIMULATED" in page


def test_a_champion_is_shown_with_its_age_its_skill_and_until_when_it_speaks() -> None:
    champion, before = make.promoted()
    page = fragments.render("models")
    assert f"/models/{champion.name}" in page
    assert "✓ Speaks" in page
    assert "champion for" in page
    assert "9.3 %" in page  # 1 − 0.5217 / 0.5752
    assert "n = 5,120" in page
    assert before.name in page


def test_a_champion_beyond_its_limit_is_shown_as_silent() -> None:
    make.promoted(promoted_at=timezone.now() - timedelta(days=400))
    page = fragments.render("models")
    assert "! Silent" in page
    assert "Decisions go on without a model" in page
    part = next(part for part in health.parts() if part.name.startswith("Model "))
    assert part.state == "warn"
    assert part.todo


def test_the_list_shows_each_version_beside_both_trivial_forecasts() -> None:
    made = make.version()
    page = fragments.render("models")
    row = page[page.index(f'id="version-{made.pk}"') :]
    for figure in ("0.5217", "0.5752", "0.5561", "0.418", "26.2 %", "✕ Not better"):
        assert figure in row


def test_the_list_never_reads_reports_or_model_files(django_assert_max_num_queries: Any) -> None:
    make.promoted()
    for _ in range(6):
        make.version()
    make.training("failed")
    with django_assert_max_num_queries(24) as asked:
        fragments.render("models")
    assert not any('"mlmodels_artefact"."data"' in query["sql"] for query in asked.captured_queries)


def test_older_versions_are_found_page_by_page() -> None:
    made = [make.version(with_artefact=False) for _ in range(views.NEWEST + 1)]
    page = text(signed_in(person("viewer")), "/models")
    assert made[0].name not in page
    older = re.search(r"\?before=\d+", page)
    assert older
    assert made[0].name in text(signed_in(person("viewer", name="other")), f"/models{older.group()}")


def test_a_training_is_shown_with_step_bar_and_log() -> None:
    run = make.training()
    page = fragments.render("training")
    assert "42 %" in page
    assert "fold 3 of 5 done" in page
    assert f"/models/runs/{run.pk}/cancel" in page
    assert "First model of this market" in page or "first model of this market" in page


def test_the_desk_shows_the_first_training_and_then_who_speaks() -> None:
    run = make.training()
    page = text(signed_in(person("viewer")), "/")
    assert "Training the first model" in page
    assert "walk forward, fold 3 of 5 done" in page
    run.delete()
    champion, _ = make.promoted()
    assert f"Model {champion.name}" in fragments.render("desk-models")


def test_a_desk_without_models_has_no_line_about_them() -> None:
    assert fragments.render("desk-models").strip() == ""


@pytest.mark.parametrize(("topic", "budget"), [("training", 1), ("desk-models", 4), ("proof", 1)])
def test_live_regions_ask_a_constant_number_of_queries(
    topic: str, budget: int, django_assert_max_num_queries: Any
):
    make.promoted()
    for _ in range(3):
        make.proof()
    make.training()
    make.training("queued", family="reversal-5m-real")
    with django_assert_max_num_queries(budget):
        fragments.render(topic)


def test_a_trader_starts_a_training_with_label_and_estimator() -> None:
    market()
    trader = signed_in(person("trader"))
    page = text(trader, "/models/train")
    assert "371 of 479,126" in page
    chosen = {"family": "5-simulated", "profile": "strict", "estimator": "LogisticRegression"}
    answer = trader.post("/models/train", chosen)
    run = TrainingRun.objects.get()
    assert answer["Location"] == f"/models/runs/{run.pk}"
    assert (run.state, run.trigger, run.by.username) == ("queued", "manual", "trader")
    assert (run.recipe["label"]["threshold"], run.recipe["estimator"]) == (1.5, "LogisticRegression")


def test_asking_twice_for_the_same_training_adds_nothing() -> None:
    market()
    trader = signed_in(person("trader"))
    chosen = {"family": "5-simulated", "profile": "default", "estimator": "HistGradientBoosting"}
    trader.post("/models/train", chosen)
    page = trader.post("/models/train", chosen, follow=True).content.decode()
    assert "waits already" in page
    assert TrainingRun.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"profile": "leaky"}, {"estimator": "os.system"}, {"family": "9-real"}, {}])
def test_what_can_not_be_trained_is_refused(wrong: dict[str, str]) -> None:
    market()
    chosen = {"family": "5-simulated", "profile": "default", "estimator": "HistGradientBoosting"}
    answer = signed_in(person("trader")).post("/models/train", chosen | wrong if wrong else {})
    assert answer.status_code == 422
    assert not TrainingRun.objects.exists()


def test_a_trader_cancels_a_training_that_waits_and_one_that_runs() -> None:
    trader = signed_in(person("trader"))
    waiting, running = make.training("queued"), make.training()
    assert "It has not begun" in text(trader, f"/models/runs/{waiting.pk}/cancel")
    trader.post(f"/models/runs/{waiting.pk}/cancel")
    trader.post(f"/models/runs/{running.pk}/cancel")
    waiting.refresh_from_db()
    running.refresh_from_db()
    assert waiting.state == "canceled"
    assert (running.state, running.cancel_requested_at is None) == ("running", False)
    ended = make.training("failed")
    page = trader.post(f"/models/runs/{ended.pk}/cancel", follow=True).content.decode()
    assert f"Training #{ended.pk} had ended: failed." in page


def test_a_run_page_tells_steps_error_and_what_is_safe() -> None:
    run = make.training("failed")
    page = text(signed_in(person("viewer")), f"/models/runs/{run.pk}")
    assert "It failed while it had to walk forward" in page
    assert "whoever spoke before still speaks" in page
    assert page.count('class="up"') >= 4
    assert 'class="alarm"' in page


def test_promoting_by_hand_says_what_the_gate_said_and_needs_a_reason(admin: Client) -> None:
    champion, _ = make.promoted()
    other = make.version()
    page = text(admin, f"/models/{other.name}/promote")
    assert "The gate did not let it through" in page
    assert champion.name in page
    assert admin.post(f"/models/{other.name}/promote", {"reason": " "}).status_code == 422
    assert not Promotion.objects.filter(version=other).exists()
    admin.post(f"/models/{other.name}/promote", {"reason": "the champion's data was wrong"})
    done = Promotion.objects.latest("id")
    assert (done.version, done.previous, done.kind, done.by.username) == (other, champion, "manual", "admin")
    assert done.reason == "the champion's data was wrong"


def test_a_model_that_was_promoted_but_can_not_speak_is_not_said_to_speak(admin: Client) -> None:
    version = make.version()
    with patch("dashboard.selectors.ml_models.why_inactive", return_value="it can't be opened"):
        page = admin.post(f"/models/{version.name}/promote", {"reason": "a try"}, follow=True).content.decode()
    assert f"{version.name} is in charge, but silent: it can&#x27;t be opened." in page


def test_rolling_back_is_one_button_and_one_confirmation(admin: Client) -> None:
    champion, before = make.promoted()
    page = text(admin, f"/models/families/{make.FAMILY}/roll-back")
    reason = re.search(r'name="reason" value="([^"]+)"', page)
    assert reason
    admin.post(f"/models/families/{make.FAMILY}/roll-back", {"reason": reason.group(1)})
    before.refresh_from_db()
    champion.refresh_from_db()
    assert (before.state, champion.state) == ("champion", "retired")
    assert Promotion.objects.latest("id").kind == "rollback"


def test_without_an_earlier_champion_there_is_nothing_to_roll_back_to(admin: Client) -> None:
    make.version("champion")
    page = admin.post(f"/models/families/{make.FAMILY}/roll-back", {"reason": "because"}, follow=True)
    assert "there is no earlier champion" in page.content.decode()


def test_taking_the_champion_out_leaves_nobody(admin: Client) -> None:
    champion, _ = make.promoted()
    admin.post(f"/models/{champion.name}/retire", {"reason": "suspicious"})
    assert not ModelVersion.objects.filter(state="champion").exists()
    assert "Nobody speaks" in fragments.render("models")


def test_what_the_registry_refuses_is_told_and_changes_nothing(admin: Client) -> None:
    bare = make.version(with_artefact=False)
    page = admin.post(f"/models/{bare.name}/promote", {"reason": "because"}, follow=True).content.decode()
    assert "Nothing was changed" in page
    bare.refresh_from_db()
    assert bare.state == "rejected"


def test_a_proof_lists_each_test_with_its_count_and_share() -> None:
    make.proof("failed")
    make.proof("passed")
    page = text(signed_in(person("viewer")), "/models/proof")
    for words in ("Every test holds", "Truncation", "1 of 40", "✓ Holds", "Earlier runs", "2 of 3"):
        assert words in page


def test_a_quick_look_never_reads_as_a_proof() -> None:
    make.proof("passed", quick=True)
    viewer = signed_in(person("viewer"))
    for address in ("/models/proof", "/models"):
        page = text(viewer, address).lower()
        assert "too few trials for evidence" in page
        assert "every test holds" not in page
        assert "✓ holds" not in page
    make.proof("passed", quick=True)
    assert "every test holds" not in text(viewer, "/models/proof").lower()
    # What was proved before stays what the page of models says.
    make.proof("failed")
    make.proof("passed", quick=True)
    assert "a test does not hold" in text(viewer, "/models")


def test_a_proof_that_runs_or_broke_says_so() -> None:
    make.proof("running")
    assert "Now: Shuffle" in fragments.render("proof")
    make.proof("error")
    assert "the process was killed" in fragments.render("proof")


def test_health_says_who_speaks_and_when_a_training_failed() -> None:
    champion, _ = make.promoted()
    part = next(part for part in health.parts() if part.name.startswith("Model "))
    assert (part.state, champion.name in part.text) == ("ok", True)
    make.training("failed")
    part = next(part for part in health.parts() if part.name.startswith("Model "))
    assert part.state == "warn"
    assert "still speaks" in part.todo
