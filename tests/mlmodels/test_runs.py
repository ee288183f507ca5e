"""Training runs: one at a time, told about, canceled, killed in each step, and never the champion's end."""

import io
import json
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from algotrendy.testing import wait_until
from market.models import Candle
from mlmodels.models import Artefact, ModelVersion, Promotion, TrainingRun
from mlmodels.pipeline.progress import Step
from mlmodels.registry import versions
from mlmodels.training import job, requirements, runs, worker
from tests.support.ml_models import make_version
from tests.support.training import (
    REAL,
    SYMBOLS,
    database_url,
    import_market,
    small_recipe,
    training_process,
    waiting_run,
)

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
PATIENCE = 300.0  # seconds; a training process is nice, so on a busy machine it waits for everybody else


@pytest.fixture(autouse=True)
def address(services: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that are started here find the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url())


@pytest.fixture
def market(services: None) -> None:
    import_market()


def trained(**changes: Any) -> TrainingRun:
    """Train in this process, as `./mem retrain` does."""
    with runs.training_lock():
        run = runs.begin(family_key=REAL, trigger=runs.Trigger.MANUAL, recipe=small_recipe(**changes))
        return job.execute(run)


def a_champion() -> ModelVersion:
    """Return a champion that was trained on other candles."""
    return make_version(REAL)


def a_champion_of_these_candles() -> ModelVersion:
    """Train a model and make it champion, whatever the gate says."""
    version = trained().version
    assert version is not None
    if version.state != ModelVersion.State.CHAMPION:
        versions.promote(version=version, by=None, reason="for the test")
    version.refresh_from_db()
    return version


def test_a_run_ends_with_a_version_a_report_a_verdict_and_a_sealed_artefact(market: None) -> None:
    run = trained()
    assert (run.state, run.progress, run.step) == (State.SUCCEEDED, 1.0, Step.SAVE)
    version = run.version
    assert version is not None
    assert [row["symbol"] for row in version.report["data"]["symbols"]] == list(SYMBOLS)
    assert len(version.report["folds"]) == 2
    held = version.report["holdout"]
    assert held["model"]["rows"] == held["left_move"]["rows"] > 1000
    assert version.verdict["outcome"] in ("promote", "keep")
    assert len(Artefact.objects.get(version=version).digest) == 32
    assert version.trained_to is not None
    assert version.trained_to.isoformat() < held["period"]["first"]
    assert (run.peak_memory or 0) > 50_000_000
    assert any("candidates" in line["text"] for line in run.log)


def test_a_second_run_is_compared_with_the_champion_on_rows_that_neither_has_seen(market: None) -> None:
    champion = a_champion_of_these_candles()
    version = trained(seed=7).version
    assert version is not None
    assert version.verdict["against"] == champion.name
    assert version.report["holdout"]["champion_name"] == champion.name
    assert {"champion", "pr_auc", "brier", "ece"} <= {check["name"] for check in version.verdict["checks"]}
    assert versions.champion(REAL.slug) == champion, "the same recipe on the same rows is not better"


@pytest.mark.parametrize("step", [step.value for step in Step])
def test_a_process_killed_in_any_step_leaves_the_champion_and_the_next_run_succeeds(
    market: None, step: str
) -> None:
    champion = a_champion()
    run = waiting_run()
    assert training_process(dies_in=step).wait(PATIENCE) == -signal.SIGKILL
    before = ModelVersion.objects.count()
    assert runs.settle_dead() == [run]
    run.refresh_from_db()
    assert (run.state, run.step) == (State.FAILED, step)
    assert f"killed in step “{step}”" in run.error
    assert versions.champion_status(REAL.slug).champion == champion
    assert (ModelVersion.objects.count(), before) == (1, 1)
    again = TrainingRun.objects.get(follows=run)
    assert (again.trigger, again.recipe) == ("restart", run.recipe)
    assert training_process().wait(PATIENCE) == 0
    again.refresh_from_db()
    assert (again.state, again.error) == (State.SUCCEEDED, "")


def test_a_run_that_is_killed_again_and_again_waits_for_a_person(market: None) -> None:
    run: TrainingRun | None = waiting_run()
    for _ in range(runs.RESTARTS + 1):
        assert run is not None
        training_process(dies_in="load").wait(PATIENCE)
        runs.settle_dead()
        last, run = run, TrainingRun.objects.filter(follows=run).first()
    assert run is None
    last.refresh_from_db()
    assert "start it by hand" in last.error


def test_a_row_whose_process_lives_is_left_alone(market: None) -> None:
    run = waiting_run()
    process = training_process()
    try:
        wait_until(lambda: TrainingRun.objects.get(pk=run.pk).state == State.RUNNING, PATIENCE, "the run")
        assert runs.settle_dead() == []
    finally:
        process.wait(PATIENCE)
    assert TrainingRun.objects.get(pk=run.pk).state == State.SUCCEEDED


def test_a_waiting_run_is_canceled_at_once(market: None) -> None:
    run = waiting_run()
    assert runs.cancel(run)
    assert not runs.cancel(run)
    run.refresh_from_db()
    assert run.state == State.CANCELED


def test_a_running_run_is_ended_by_the_worker_in_the_middle_of_its_work(market: None) -> None:
    run = waiting_run(parameters={"max_iter": 4000})
    worker.supervise()
    wait_until(lambda: TrainingRun.objects.get(pk=run.pk).step == Step.WALK_FORWARD, PATIENCE, "the first fold")
    assert runs.cancel(TrainingRun.objects.get(pk=run.pk))
    wait_until(lambda: worker.supervise() or _state(run) == State.CANCELED, 20, "the end")
    assert ModelVersion.objects.count() == 0
    assert not TrainingRun.objects.filter(follows=run).exists()


def _state(run: TrainingRun) -> str:
    return TrainingRun.objects.get(pk=run.pk).state


def test_the_worker_starts_what_waits_and_runs_one_at_a_time(market: None) -> None:
    run = waiting_run()
    with runs.training_lock() as mine:
        assert mine
        worker.supervise()
        assert _state(run) == State.QUEUED, "somebody else trains"
    wait_until(lambda: worker.supervise() or _state(run) == State.SUCCEEDED, PATIENCE, "the run")


def test_one_run_of_a_family_waits_at_most(services: None) -> None:
    run = waiting_run()
    with pytest.raises(runs.AlreadyWaiting) as caught:
        waiting_run()
    assert caught.value.run == run


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda: Candle.objects.all().delete(), "there are no candles"),
        (lambda: Candle.objects.filter(open_time__day__gte=20).delete(), "too few"),
        (lambda: Candle.objects.update(open=5, high=5, low=5, close=5), "no row has known features"),
    ],
    ids=["no candles", "too few", "constant prices"],
)
def test_bad_candles_end_the_run_with_a_reason_and_leave_the_champion(
    market: None, spoil: Any, reason: str
) -> None:
    champion = a_champion()
    spoil()
    run = trained()
    assert run.state == State.FAILED
    assert reason in run.error.lower().replace("There", "there")
    assert "champion was not touched" in run.error
    assert versions.champion(REAL.slug) == champion


def test_too_few_reversals_are_told_with_their_number(market: None) -> None:
    from dataclasses import replace

    from mlmodels.pipeline.labels import PROFILES

    recipe = replace(small_recipe(), label=PROFILES["inventory"])
    with runs.training_lock():
        run = job.execute(runs.begin(family_key=REAL, trigger=runs.Trigger.MANUAL, recipe=recipe))
    assert run.state == State.FAILED
    assert "reversals before the hold-out" in run.error


def test_symbols_without_candles_are_named(market: None) -> None:
    run = trained(symbols=("BTCUSDT", "DOGEUSDT"))
    assert run.state == State.FAILED
    assert "no candles of DOGEUSDT" in run.error


def test_a_run_learns_from_the_symbols_it_names(market: None) -> None:
    version = trained(symbols=("ETHUSDT",)).version
    assert version is not None
    assert [row["symbol"] for row in version.report["data"]["symbols"]] == ["ETHUSDT"]


def test_a_champion_whose_bytes_were_changed_is_not_compared_with_and_stays(market: None) -> None:
    champion = a_champion()
    data = bytes(champion.artefact.data)
    Artefact.objects.filter(version=champion).update(data=bytes([data[0] ^ 1]) + data[1:])
    version = trained(seed=9).version
    assert version is not None
    assert version.verdict["against"] == ""


def test_the_command_trains_prints_the_report_and_says_who_speaks(market: None, capsys: Any) -> None:
    call_command("retrain", "--json", days=60)
    result = json.loads(capsys.readouterr().out)
    assert result["report"]["holdout"]["model"]["log_loss"]["value"] > 0
    assert result["verdict"]["outcome"] in ("promote", "keep", "insufficient")
    call_command("retrain")
    printed = capsys.readouterr().out
    assert "log-loss" in printed
    assert "accuracy of “never”" in printed


def test_the_command_refuses_without_candles(services: None) -> None:
    with pytest.raises(CommandError, match="no such real candles"):
        call_command("retrain")


@pytest.fixture
def another_training(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold the lock as another process would, until the event is set."""
    monkeypatch.setattr(runs, "NOTICE_AFTER", 0.0)
    begun, may_end = threading.Event(), threading.Event()

    def train() -> None:
        try:
            with runs.training_lock() as mine:
                assert mine
                begun.set()
                may_end.wait(PATIENCE)
        finally:
            connection.close()

    thread = threading.Thread(target=train)
    thread.start()
    begun.wait(PATIENCE)
    yield may_end
    may_end.set()
    thread.join(PATIENCE)


def test_the_command_waits_for_another_training(
    market: None, another_training: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = Notice(another_training)
    call_command("retrain", "--json", days=60, stderr=notice)
    assert "begins when it has ended" in notice.getvalue()
    assert TrainingRun.objects.get().state == State.SUCCEEDED


def test_whoever_waits_may_leave_and_nothing_was_begun(
    market: None, another_training: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(CommandError, match="the champion was not touched"):
        call_command("retrain")
    assert not TrainingRun.objects.exists()


def test_a_training_process_waits_only_so_long(services: None, another_training: threading.Event) -> None:
    with runs.training_turn(patience=0.0) as mine:
        assert not mine


class Notice(io.StringIO):
    """What the command prints while it waits; the other training ends as soon as it has printed something."""

    def __init__(self, may_end: threading.Event) -> None:
        super().__init__()
        self.may_end = may_end

    def write(self, text: str) -> int:
        self.may_end.set()
        return super().write(text)


def interrupted(seconds: float) -> None:
    raise KeyboardInterrupt


def test_the_first_model_of_a_market_is_asked_for_once(services: None) -> None:
    import_market(days=29, symbols=("BTCUSDT",))
    from django.utils import timezone

    from market.models import Instrument, MarketKind, Quote

    for instrument in Instrument.objects.all():
        Quote.objects.create(
            instrument=instrument, price=100, timeframe=300, kind=MarketKind.REPLAY, market_time=timezone.now(),
            received_at=timezone.now(),
        )  # fmt: skip
    assert worker.request_first_models() == [], "29 days are too few for the default recipe"
    import_market(days=31, symbols=("BTCUSDT",))
    assert [run.trigger for run in worker.request_first_models()] == ["first"]
    assert worker.request_first_models() == []


def test_a_scheduled_training_waits_for_new_candles(market: None) -> None:
    trained()
    assert not requirements.has_new_candles(REAL)
    import_market(days=31)
    assert requirements.has_new_candles(REAL)


def test_the_schedule_asks_for_imported_candles_too_and_once(services: None) -> None:
    import_market(days=31, symbols=("BTCUSDT",))
    assert [(run.family, run.trigger) for run in worker.request_scheduled_retrains()] == [(REAL.slug, "schedule")]
    assert worker.request_scheduled_retrains() == []


def test_promotions_tell_on_which_rows(market: None) -> None:
    a_champion_of_these_candles()
    record = Promotion.objects.get()
    assert record.verdict["rows"] > 0
    assert record.verdict["period"]["days"] == 15
