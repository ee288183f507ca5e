"""A training's shell without its numbers: what ends it, what is kept of it, and that the champion stays."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from mlmodels.models import Artefact, ModelVersion, Promotion, TrainingRun
from mlmodels.pipeline.dataset import NotEnough
from mlmodels.pipeline.features import DESK_1
from mlmodels.pipeline.progress import ProgressCallback, Step
from mlmodels.pipeline.report import Verdict
from mlmodels.pipeline.retrainer import Trained
from mlmodels.registry import versions
from mlmodels.training import job, runs
from tests.support.ml_models import learned, make_version
from tests.support.training import REAL, import_market, small_recipe

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
VERDICT: Verdict = {
    "outcome": "promote", "text": "it says promote", "attempt": 1, "alpha": 0.03, "against": "",
    "period": None, "rows": 1000, "positives": 200, "checks": [],
}  # fmt: skip
Work = Callable[[ProgressCallback, Callable[[Trained], object]], None]


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def trained() -> Trained:
    """A model that passes the gate."""
    model, golden = learned()
    return Trained(model, DESK_1, small_recipe(), 0.5, {}, VERDICT, golden, 100, 200, 1000)  # type: ignore[typeddict-item]


def begun(**changes: Any) -> TrainingRun:
    return runs.begin(family_key=REAL, trigger=runs.Trigger.MANUAL, recipe=small_recipe(**changes))


@pytest.fixture
def champion() -> ModelVersion:
    return make_version(REAL)


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """What the pipeline does instead of training: it gets the callback of progress, and what keeps a model."""

    def replace(work: Work) -> None:
        class Retrainer:
            def __init__(self, *_: object, **callbacks: Any) -> None:
                self.callbacks = callbacks

            def run(self) -> None:
                work(self.callbacks["progress"], self.callbacks["save"])

        monkeypatch.setattr(job, "ModelRetrainer", Retrainer)

    return replace


def stays(champion: ModelVersion) -> None:
    """Show that the champion speaks on and that nothing of another model was kept."""
    assert versions.champion_status(REAL.slug).champion == champion
    assert list(ModelVersion.objects.all()) == [champion]
    assert list(Artefact.objects.values_list("version", flat=True)) == [champion.pk]
    assert not Promotion.objects.exists()


# --- kept, whole or not at all -----------------------------------------------------------------------------------


def test_what_passes_the_gate_is_champion_with_its_artefact_and_the_run_says_so(
    champion: ModelVersion, numbers: Callable[[Work], None]
) -> None:
    numbers(lambda progress, save: save(trained()))
    run = job.execute(begun())
    assert (run.state, run.verdict, run.progress) == (State.SUCCEEDED, "promoted", 1.0)
    assert versions.champion(REAL.slug) == run.version
    assert Artefact.objects.filter(version=run.version).exists()


def test_a_kill_before_the_verdict_leaves_neither_a_version_nor_its_bytes(
    champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun()
    monkeypatch.setattr(versions, "apply_verdict", kill)
    with pytest.raises(Killed):
        job.keep(run, REAL, champion, trained())
    stays(champion)


def test_a_kill_before_the_run_ends_leaves_the_champion_in_place(
    champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun()
    monkeypatch.setattr(runs, "end", kill)
    with pytest.raises(Killed):
        job.keep(run, REAL, champion, trained())
    stays(champion)


def test_a_run_that_was_taken_for_dead_puts_nobody_in_charge(
    champion: ModelVersion, numbers: Callable[[Work], None]
) -> None:
    run = begun()

    def end_and_save(_: ProgressCallback, save: Callable[[Trained], object]) -> None:
        runs.end(run.pk, State.FAILED, error="It was killed.")
        save(trained())

    numbers(end_and_save)
    ended = job.execute(run)
    assert (ended.state, ended.error, ended.version) == (State.FAILED, "It was killed.", None)
    stays(champion)


# --- ended -------------------------------------------------------------------------------------------------------


def test_a_run_that_is_asked_to_stop_ends_canceled_at_its_next_step(
    champion: ModelVersion, numbers: Callable[[Work], None]
) -> None:
    run = begun()

    def go_on(progress: ProgressCallback, save: Callable[[Trained], object]) -> None:
        progress(Step.LOAD, 0.1, "it begins")
        runs.cancel(run)
        progress(Step.FEATURES, 0.2, "it goes on")
        save(trained())

    numbers(go_on)
    ended = job.execute(run)
    assert (ended.state, ended.step, ended.error) == (State.CANCELED, Step.LOAD, "")
    assert "it goes on" not in [line["text"] for line in ended.log]
    stays(champion)


def test_features_that_this_desk_does_not_know_are_named(champion: ModelVersion) -> None:
    run = job.execute(begun(schema="desk-0"))
    assert run.state == State.FAILED
    assert run.error.startswith("There is no feature schema 'desk-0'; there are ")
    assert run.error.endswith("The champion was not touched.")
    stays(champion)


@pytest.mark.parametrize(
    "recipe", [{"depth": 7}, {"label": {"kind": "never"}}, {"label": {"size": 7}}, [1]], ids=str
)
def test_a_recipe_that_can_not_be_read_ends_its_run_with_the_reason(champion: ModelVersion, recipe: Any) -> None:
    run = begun()
    TrainingRun.objects.filter(pk=run.pk).update(recipe=recipe)
    run.refresh_from_db()
    try:
        job.execute(run)
    finally:
        run.refresh_from_db()
        assert run.state == State.FAILED
        assert "The champion was not touched" in run.error
        assert [line["text"][:20].lower() for line in run.log] == [run.error[:20].lower()]
        stays(champion)


def test_what_nobody_expected_ends_the_run_and_is_raised_for_the_log(
    champion: ModelVersion, numbers: Callable[[Work], None]
) -> None:
    run = begun()
    numbers(kill)
    with pytest.raises(Killed):
        job.execute(run)
    run.refresh_from_db()
    assert (run.state, run.error.startswith("Killed: ")) == (State.FAILED, True)
    stays(champion)


# --- progress ----------------------------------------------------------------------------------------------------


def test_progress_is_written_now_and_then_and_whatever_has_a_sentence_or_a_new_step_at_once(
    monkeypatch: pytest.MonkeyPatch, numbers: Callable[[Work], None]
) -> None:
    written: list[tuple[str, object]] = []
    moments = iter([100.0, 100.1, 100.2, 100.29, 100.6, 100.7])
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    monkeypatch.setattr(runs, "write", lambda pk, text, **changes: written.append((text, changes["progress"])))

    def report(progress: ProgressCallback, _: object) -> None:
        for share, step, text in (
            (0.1, Step.FIT, ""), (0.2, Step.FIT, ""), (0.3, Step.FIT, "a sentence"), (0.4, Step.FIT, ""),
            (0.5, Step.FIT, ""), (1.5, Step.GATE, ""),
        ):  # fmt: skip
            progress(step, share, text)

    numbers(report)
    job.execute(begun())
    assert written == [("", 0.1), ("a sentence", 0.3), ("", 0.5), ("", 1.0)]


# --- candles and the incumbent -----------------------------------------------------------------------------------


def test_symbols_without_candles_are_named_and_no_candles_are_no_reason_to_name_any() -> None:
    assert job.candles(REAL, small_recipe()) == {}
    assert job.left_out(REAL, small_recipe()) == []
    import_market(days=1, symbols=("BTCUSDT",))
    with pytest.raises(NotEnough, match="no candles of DOGEUSDT"):
        job.candles(REAL, small_recipe(symbols=("BTCUSDT", "DOGEUSDT")))
    assert list(job.candles(REAL, small_recipe(symbols=("BTCUSDT",)))) == ["BTCUSDT"]


def test_the_incumbent_is_a_champion_that_can_be_asked(champion: ModelVersion) -> None:
    known = job.incumbent(champion)
    assert known is not None
    assert known.name == champion.name
    assert job.incumbent(None) is None
    ModelVersion.objects.filter(pk=champion.pk).update(schema="desk-0")
    champion.refresh_from_db()
    assert job.incumbent(champion) is None


def test_an_expired_champion_is_no_incumbent_and_its_place_is_free(
    champion: ModelVersion, numbers: Callable[[Work], None]
) -> None:
    ModelVersion.objects.update(promoted_at=timezone.now() - timedelta(days=4000))
    numbers(lambda progress, save: save(trained()))
    run = job.execute(begun())
    assert versions.champion(REAL.slug) == run.version
