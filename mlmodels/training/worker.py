"""The training worker's part: keeps one training process alive at a time, ends it on request, cleans up after.

A training is a process of its own. OpenMP hangs in a process that was forked after it ran, a crash in compiled
code ends whatever it happens in, and cancelling must work in the middle of a fit. The worker looks after it with
tasks that return at once, so that predictions and the other chores of its queue never wait for a training.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from algotrendy.embedded.child import die_with_parent
from algotrendy.isolation.rows import each, in_turn
from algotrendy.paths import BASE_DIR
from mlmodels.models import TrainingRun
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey
from mlmodels.training import requirements, runs

WATCH = "mlmodels.watch_training"
#: Seconds between terminating a training process and killing it.
GRACE = 5.0


@dataclass
class Child:
    """The training process of this worker."""

    process: subprocess.Popen[bytes]
    terminated_at: float | None = None


_child: Child | None = None


def supervise() -> None:
    """Reap, cancel, settle the dead, and start what waits. Returns at once. Beat and nudges call it often."""
    global _child
    if _child and _child.process.poll() is not None:
        _child = None
    if _child and TrainingRun.objects.filter(
        state=runs.State.RUNNING, pid=_child.process.pid, cancel_requested_at__isnull=False
    ):
        _end(_child)
    if _child is None:
        in_turn(WATCH, {"runs of dead processes": runs.settle_dead, "first models": request_first_models})
        if TrainingRun.objects.filter(state=runs.State.QUEUED).exists() and _training_is_free():
            _child = Child(_start())


def _end(child: Child) -> None:
    """Terminate the process; when it has not ended after a while, kill it."""
    now = time.monotonic()
    if child.terminated_at is None:
        child.terminated_at = now
        child.process.terminate()
    elif now - child.terminated_at > GRACE:
        child.process.kill()


def _training_is_free() -> bool:
    with runs.training_lock() as free:
        return free


def _start() -> "subprocess.Popen[bytes]":
    """Start a training process that ends with us."""
    return subprocess.Popen(
        [sys.executable, str(BASE_DIR / "manage.py"), "run_training"],
        env=os.environ | {"ALGOTRENDY_PROCESS": "learning"},
        cwd=BASE_DIR, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent(),
    )  # fmt: skip


def request_first_models() -> list[TrainingRun]:
    """Queue a first training of each market with prices that has history enough and was never trained on."""
    return _request_each(families.quoted_families(), _is_new, runs.Trigger.FIRST)


def _is_new(key: FamilyKey) -> bool:
    return not TrainingRun.objects.filter(family=key.slug).exists() and requirements.has_history(key)


def request_scheduled_retrains() -> list[TrainingRun]:
    """Queue the scheduled training of all candles that are enough and have grown, imported ones among them."""
    return _request_each(families.with_candles(), _has_grown, runs.Trigger.SCHEDULE)


def _has_grown(key: FamilyKey) -> bool:
    return requirements.has_history(key) and requirements.has_new_candles(key)


def _request_each(
    keys: Iterable[FamilyKey], is_due: Callable[[FamilyKey], bool], trigger: str
) -> list[TrainingRun]:
    """Queue a run of each family that is due and has none waiting; return the new ones."""

    def request(key: FamilyKey) -> TrainingRun | None:
        with suppress(runs.AlreadyWaiting):
            return runs.request(family_key=key, trigger=trigger) if is_due(key) else None
        return None

    queued = each(f"mlmodels.request_{trigger}", keys, request, complete=True)
    return [run for run in queued if run is not None]
