"""The rows of trainings without a training: requested once, claimed once, stopped, and ended once."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from algotrendy import events
from mlmodels.models import TrainingRun
from mlmodels.signals import training_changed
from mlmodels.training import requirements, runs
from tests.support.locks import lock_held_elsewhere, meeting
from tests.support.threads import after_statement
from tests.support.training import REAL, waiting_run

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
WATCH = ("mlmodels.watch_training",)


@pytest.fixture(autouse=True)
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was nudged, instead of nudging it."""
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(events, "nudge", lambda *task: seen.append(task))
    return seen


@pytest.fixture
def announced() -> Iterator[list[int]]:
    """The runs (ids) of which the pages hear that they moved."""
    seen: list[int] = []

    def receive(run_id: int, **_: object) -> None:
        seen.append(run_id)

    training_changed.connect(receive)
    yield seen
    training_changed.disconnect(receive)


def running_run() -> TrainingRun:
    """A run of this process."""
    return runs.begin(family_key=REAL, trigger=runs.Trigger.MANUAL)


def now(run: TrainingRun) -> TrainingRun:
    """The row as it is now."""
    return TrainingRun.objects.get(pk=run.pk)


def log_of(run: TrainingRun) -> list[str]:
    return [line["text"] for line in now(run).log]


# --- requested and claimed ---------------------------------------------------------------------------------------


def test_a_request_is_shown_and_starts_the_worker_once_it_is_committed(
    announced: list[int], nudged: list[tuple[object, ...]]
) -> None:
    with transaction.atomic():
        run = waiting_run()
        assert (announced, nudged) == ([], [])
    assert (announced, nudged) == ([run.pk], [WATCH])


def test_a_second_request_is_refused_and_spoils_nothing_of_its_transaction() -> None:
    run = waiting_run()
    with transaction.atomic():
        with pytest.raises(runs.AlreadyWaiting) as caught:
            waiting_run()
        TrainingRun.objects.filter(pk=run.pk).update(host="kept")
    assert (caught.value.run, now(run).host) == (run, "kept")


def test_a_second_restart_of_one_run_is_not_taken_for_one_that_waits() -> None:
    dead = waiting_run()
    runs.cancel(dead)
    first = runs.request(family_key=REAL, trigger=runs.Trigger.RESTART, follows=dead)
    runs.cancel(first)
    with pytest.raises(IntegrityError, match="follows"):
        runs.request(family_key=REAL, trigger=runs.Trigger.RESTART, follows=dead)


def test_where_nothing_waits_nothing_is_claimed() -> None:
    assert runs.claim() is None


def test_a_run_that_is_canceled_while_it_is_claimed_is_not_trained(announced: list[int]) -> None:
    run = waiting_run()
    with after_statement("mlmodels_trainingrun", lambda: runs.cancel(run)) as canceled:
        assert runs.claim() is None
    assert canceled
    assert now(run).state == State.CANCELED


# --- stopped -----------------------------------------------------------------------------------------------------


def test_a_running_run_is_asked_to_stop_once_and_the_worker_sees_to_it(
    announced: list[int], nudged: list[tuple[object, ...]]
) -> None:
    run = running_run()
    announced.clear()
    assert not runs.must_stop(run.pk)
    assert (runs.cancel(run), runs.cancel(run)) == (True, False)
    assert runs.must_stop(run.pk)
    assert log_of(run) == ["the command line asked to stop"]
    assert (announced, nudged) == ([run.pk], [WATCH])


def test_a_run_that_ended_can_not_be_stopped() -> None:
    run = running_run()
    runs.end(run.pk, State.SUCCEEDED)
    assert not runs.cancel(run)
    assert (now(run).state, log_of(run)) == (State.SUCCEEDED, [])


def test_a_waiting_run_that_is_canceled_ends_and_is_shown(announced: list[int]) -> None:
    run = waiting_run()
    announced.clear()
    assert (runs.cancel(run), runs.cancel(run)) == (True, False)
    assert (now(run).state, announced) == (State.CANCELED, [run.pk])


def test_of_two_sentences_at_once_both_are_in_the_log() -> None:
    run = running_run()
    meeting(lambda: runs.write(run.pk, "the first"), lambda: runs.write(run.pk, "the second"))
    assert log_of(run) == ["the first", "the second"]


# --- the lock ----------------------------------------------------------------------------------------------------


def test_one_process_trains_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pytest.fail))
    with lock_held_elsewhere(runs.LOCK):
        with runs.training_lock() as mine:
            assert not mine
        with runs.training_turn(patience=-1.0) as mine:
            assert not mine
    with runs.training_turn() as mine:
        assert mine


def test_who_looks_for_dead_trainings_where_none_runs_keeps_none_from_beginning(
    django_assert_num_queries: Any,
) -> None:
    waiting_run()
    with django_assert_num_queries(1):  # the lock is not even asked for
        assert runs.settle_dead() == []


# --- the dead ----------------------------------------------------------------------------------------------------


def test_a_killed_run_fails_with_its_step_and_starts_anew(announced: list[int]) -> None:
    run = running_run()
    TrainingRun.objects.filter(pk=run.pk).update(step="fit")
    announced.clear()
    assert runs.settle_dead() == [run]
    assert (now(run).state, "killed in step “fit”" in now(run).error) == (State.FAILED, True)
    assert now(run).successor.trigger == "restart"
    assert announced == [run.pk, now(run).successor.pk]


def test_a_run_whose_process_lives_is_left_to_it() -> None:
    run = running_run()
    with lock_held_elsewhere(runs.LOCK):
        assert runs.settle_dead() == []
    assert now(run).state == State.RUNNING


def test_a_killed_run_that_was_asked_to_stop_is_canceled_and_does_not_start_anew() -> None:
    run = running_run()
    runs.cancel(run)
    assert runs.settle_dead() == [run]
    assert (now(run).state, TrainingRun.objects.count()) == (State.CANCELED, 1)


def test_a_run_that_ended_while_the_dead_were_looked_for_stays_as_it_ended() -> None:
    run = running_run()
    with after_statement("mlmodels_trainingrun", lambda: runs.end(run.pk, State.SUCCEEDED)) as ended:
        assert runs.settle_dead() == []
    assert ended
    assert (now(run).state, TrainingRun.objects.count()) == (State.SUCCEEDED, 1)


# --- what is there to train on -----------------------------------------------------------------------------------


def test_a_market_that_no_model_knows_has_new_candles_and_one_without_candles_needs_none() -> None:
    assert requirements.has_new_candles(REAL)
    assert requirements.read_since(5) is None
