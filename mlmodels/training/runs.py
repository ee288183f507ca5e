"""Training runs as rows: requested, claimed, reported on, ended. Only the process that holds the lock trains."""

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from algotrendy.events import announce, nudge_after_commit
from algotrendy.isolation.rows import describe, each
from algotrendy.locks import release, try_hold
from mlmodels.models import ModelVersion, TrainingRun
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.report import LogLine
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey
from mlmodels.signals import training_changed

State, Trigger = TrainingRun.State, TrainingRun.Trigger
LOCK = "mlmodels.training"
#: How often a run that was killed starts anew by itself.
RESTARTS = 2
LONGEST_LOG = 200
#: Seconds of waiting after which a notice of it is given: whoever looks for the dead holds the lock for a moment.
NOTICE_AFTER = 1.0


class AlreadyWaiting(Exception):
    """A run of this family waits already; it is `run`."""

    def __init__(self, run: TrainingRun) -> None:
        super().__init__(f"training run {run.pk} of {run.family} waits already")
        self.run = run


class Canceled(Exception):
    """This run was requested to stop."""


class UnreadableRecipe(ValueError):
    """What is stored as a run's recipe is none that this desk knows; the message says why."""


def request(
    *,
    family_key: FamilyKey,
    trigger: str,
    by: User | None = None,
    recipe: Recipe | None = None,
    follows: TrainingRun | None = None,
) -> TrainingRun:
    """Queue a run and nudge the worker. Raises AlreadyWaiting, and ValueError for a recipe that can't be used."""
    run = _new(family_key, trigger, by, recipe, follows)
    try:
        with transaction.atomic():
            run.save()
    except IntegrityError as error:
        waiting = TrainingRun.objects.filter(family=run.family, state=State.QUEUED).first()
        if waiting is None:
            raise
        raise AlreadyWaiting(waiting) from error
    announce_run(run.pk)
    nudge_after_commit("mlmodels.watch_training")
    return run


def begin(*, family_key: FamilyKey, trigger: str, recipe: Recipe | None = None) -> TrainingRun:
    """Return a run that is running in this process, which must hold the lock."""
    run = _new(family_key, trigger, None, recipe, None)
    run.state, run.started_at = State.RUNNING, timezone.now()
    _sign(run)
    run.save()
    announce_run(run.pk)
    return run


def _new(
    key: FamilyKey, trigger: str, by: User | None, recipe: Recipe | None, follows: TrainingRun | None
) -> TrainingRun:
    wanted = recipe or families.recipe_of(key)
    return TrainingRun(
        family=key.slug, timeframe=key.timeframe, simulated=key.simulated, trigger=trigger, by=by,
        recipe=wanted.as_json(), follows=follows,
    )  # fmt: skip


def key_of(run: TrainingRun) -> FamilyKey:
    """Return the family a run trains for. Raises UnreadableRecipe."""
    return FamilyKey(run.timeframe, run.simulated, recipe_of(run).label)


def recipe_of(run: TrainingRun) -> Recipe:
    """Return the recipe of a run. Raises UnreadableRecipe: an older or newer desk may have stored it."""
    try:
        return Recipe.from_json(run.recipe)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreadableRecipe(f"the recipe of this training can't be read: {describe(error)}") from error


def claim() -> TrainingRun | None:
    """Take the run that waited longest into this process, which must hold the lock; None if none waits."""
    waiting = TrainingRun.objects.filter(state=State.QUEUED).order_by("id").first()
    if waiting is None:
        return None
    claimed = TrainingRun.objects.filter(pk=waiting.pk, state=State.QUEUED).update(
        state=State.RUNNING, started_at=timezone.now(), heartbeat_at=timezone.now(), pid=os.getpid(),
        host=socket.gethostname()[:100],
    )  # fmt: skip
    announce_run(waiting.pk)
    waiting.refresh_from_db()
    return waiting if claimed else None


def _sign(run: TrainingRun) -> None:
    run.pid, run.host, run.heartbeat_at = os.getpid(), socket.gethostname()[:100], timezone.now()


def cancel(run: TrainingRun, by: User | None = None) -> bool:
    """End a waiting run, or request a running one to stop; return whether there was anything to stop."""
    now, who = timezone.now(), by.get_username() if by else "the command line"
    waiting = TrainingRun.objects.filter(pk=run.pk, state=State.QUEUED)
    if waiting.update(state=State.CANCELED, finished_at=now, cancel_requested_at=now):
        announce_run(run.pk)
        return True
    running = TrainingRun.objects.filter(pk=run.pk, state=State.RUNNING, cancel_requested_at=None)
    if not running.update(cancel_requested_at=now):
        return False
    write(run.pk, f"{who} asked to stop")
    nudge_after_commit("mlmodels.watch_training")
    return True


def write(run_id: int, text: str, **changes: object) -> None:
    """Add a sentence to a run's log (if there is one), set other columns, and announce it. Autocommit."""
    with transaction.atomic():
        row = TrainingRun.objects.select_for_update().only("log").get(pk=run_id)
        line: LogLine = {"at": timezone.now().isoformat(timespec="milliseconds"), "text": text}
        log = [*row.log, line][-LONGEST_LOG:] if text else row.log
        TrainingRun.objects.filter(pk=run_id).update(log=log, heartbeat_at=timezone.now(), **changes)
        announce_run(run_id)


def must_stop(run_id: int) -> bool:
    """Return whether a running run was requested to stop, or its row is gone."""
    return not TrainingRun.objects.filter(pk=run_id, state=State.RUNNING, cancel_requested_at=None).exists()


def end(
    run_id: int, state: str, *, error: str = "", verdict: str = "", version: ModelVersion | None = None
) -> bool:
    """End a running run; return whether it was still running (a run ends once). Joins the caller's transaction."""
    changes: dict[str, object] = {
        "state": state,
        "finished_at": timezone.now(),
        "error": error,
        "verdict": verdict[:200],
    }
    if version:
        changes |= {"version": version, "progress": 1.0}
    ended = TrainingRun.objects.filter(pk=run_id, state=State.RUNNING).update(**changes)
    announce_run(run_id)
    return bool(ended)


def announce_run(run_id: int) -> None:
    """Announce, after commit, that a run moved."""
    announce(training_changed, TrainingRun, run_id=run_id)


@contextmanager
def training_lock() -> Iterator[bool]:
    """Yield whether this process may train: one at a time on the whole desk."""
    acquired = try_hold(LOCK)
    try:
        yield acquired
    finally:
        if acquired:
            release(LOCK)


def _give_no_notice() -> None:
    """Wait without a notice."""


@contextmanager
def training_turn(patience: float = math.inf, on_wait: Callable[[], None] = _give_no_notice) -> Iterator[bool]:
    """Wait at most `patience` seconds until this process may train, and yield whether it may.

    `on_wait` is called once if that takes longer than `NOTICE_AFTER`.
    """
    began, noticed = time.monotonic(), False
    while True:
        with training_lock() as acquired:
            waited = time.monotonic() - began
            if acquired or waited > patience:
                yield acquired
                return
        if waited > NOTICE_AFTER and not noticed:
            on_wait()
            noticed = True
        time.sleep(0.1)


def settle_dead() -> list[TrainingRun]:
    """End the running rows that no process stands behind, have them start anew, and return them.

    Only the holder of the lock trains: whoever can take it while a row is running knows that its process is gone.
    """
    running = list(TrainingRun.objects.filter(state=State.RUNNING))
    if not running:
        return []
    with training_lock() as free:
        ended = each(
            "mlmodels.settle_dead", running if free else [], lambda run: run if _fail_dead_run(run) else None
        )
    return [run for run in ended if run is not None]


def _fail_dead_run(run: TrainingRun) -> bool:
    if run.cancel_requested_at:
        return end(run.pk, State.CANCELED)
    step = f"in step “{run.step}”" if run.step else "before its first step"
    again = restarts(run) < RESTARTS
    text = f"The training process was killed {step}. Nothing of it was kept and the champion was not touched. " + (
        "It starts anew by itself." if again else "It was killed too often in a row: start it by hand."
    )
    if not end(run.pk, State.FAILED, error=text):
        return False
    if again:
        _start_anew(run)
    return True


def _start_anew(run: TrainingRun) -> None:
    try:
        request(
            family_key=key_of(run),
            trigger=Trigger.RESTART,
            by=run.by,
            recipe=recipe_of(run),
            follows=run,
        )
    except AlreadyWaiting:
        return


def restarts(run: TrainingRun) -> int:
    """Return how many runs in a row before this one it started anew from."""
    count, before = 0, run.follows
    while before is not None and count < RESTARTS:
        count, before = count + 1, before.follows
    return count


def live() -> list[TrainingRun]:
    """Return the runs that wait or run, the running one first."""
    return list(
        TrainingRun.objects.filter(state__in=TrainingRun.LIVE).order_by(F("started_at").asc(nulls_last=True), "id")
    )
