"""Runs of the honesty suite as rows: on which candles, how far, and with what result. One runs at a time."""

import time
from datetime import UTC, datetime

from django.utils import timezone

from algotrendy.events import announce
from algotrendy.locks import try_session_lock
from market.series import Series, known_series, load_bars
from mlmodels.models import ProofRun
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof import subject as subjects
from mlmodels.proof import suite
from mlmodels.proof.subject import Subject
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey
from mlmodels.signals import proof_changed

State = ProofRun.State
LOCK = "mlmodels.proof"
#: Progress is written at most so often (seconds).
WRITE_EVERY = 1.0
ABANDONED = "Its process ended before the suite did. Nothing depends on it: start it again with ./mem prove."


class AlreadyRunning(Exception):
    """The suite runs already, in another process."""


def subject(*, simulated: bool = False, timeframe: int | None = None) -> Subject:
    """Return the desk's real candles in the timeframe (seconds) with most of them, else the simulated market.

    Enough for a trial are five weeks, and 10,080 bars, of one instrument at least.
    """
    longest = None if simulated else _most(timeframe)
    if longest is None:
        return subjects.simulated()
    key = FamilyKey(longest[0].timeframe, simulated=False)
    series = {one.symbol: load_bars(one.instrument_id, one.timeframe, _since(key, one)) for one in longest}
    return subjects.real(series, key.timeframe, families.recipe_of(key))


def _since(key: FamilyKey, one: Series) -> datetime:
    """Return where the newest year of a series begins: what a training reads."""
    recipe = families.recipe_of(key)
    length = recipe.history_days * families.DAY
    return datetime.fromtimestamp(one.last.timestamp() - length, UTC)


def _most(timeframe: int | None) -> list[Series] | None:
    """Return the real series that are long enough, of the timeframe in which they have most candles."""
    long: dict[int, list[Series]] = {}
    for one in known_series():
        enough = one.bars >= subjects.window_bars(one.timeframe)
        if enough and not families.is_simulated(one.kind) and timeframe in (None, one.timeframe):
            long.setdefault(one.timeframe, []).append(one)
    return max(long.values(), key=lambda group: sum(one.bars for one in group), default=None)


def prove(
    subject: Subject, trials: suite.Trials = suite.FULL, also: suite.ProgressCallback = suite.ignore_progress
) -> ProofRun:
    """Run the suite on `subject` and return its row as it ended; `also` gets the progress too, besides the row.

    Raises AlreadyRunning if one runs already, and whatever ended the suite early, after writing it down.
    """
    with try_session_lock(LOCK) as acquired:
        if not acquired:
            raise AlreadyRunning("the honesty suite runs already: see its progress on the page Models, or wait")
        settle_dead()
        run = ProofRun.objects.create(
            subject=subject.text[:200],
            simulated=subject.simulated,
            quick=trials == suite.QUICK,
            heartbeat_at=timezone.now(),
        )
        announce_run(run.pk)
        try:
            results = suite.run(subject, _progress_writer(run.pk, also), trials)
        except BaseException as error:  # also Ctrl-C: a row without an end would be taken for a killed process
            _end(run, State.ERROR, error=f"{type(error).__name__}: {error}")
            raise
        _end(run, State.PASSED if all(result["ok"] for result in results) else State.FAILED, results=results)
    return run


def settle_dead() -> None:
    """End the running rows that no process stands behind; the caller holds the lock, so nobody does."""
    for run in ProofRun.objects.filter(state=State.RUNNING):
        _end(run, State.ERROR, error=ABANDONED)


def _end(run: ProofRun, state: str, *, error: str = "", results: list[ProofResult] | None = None) -> None:
    run.state, run.error, run.finished_at = state, error, timezone.now()
    changed = ["state", "error", "finished_at"]
    if results is not None:
        run.results, run.progress, run.step = results, 1.0, ""
        changed += ["results", "progress", "step"]
    run.save(update_fields=changed)
    announce_run(run.pk)


def announce_run(proof_id: int) -> None:
    """Announce, after commit, that a run moved."""
    announce(proof_changed, ProofRun, proof_id=proof_id)


def _progress_writer(proof_id: int, also: suite.ProgressCallback) -> suite.ProgressCallback:
    """Return what the suite calls: it writes the row now and then, and whenever an experiment ends."""
    written_at, written = 0.0, -1

    def report_progress(name: str, share: float, results: list[ProofResult]) -> None:
        nonlocal written_at, written
        also(name, share, results)
        now = time.monotonic()
        if len(results) == written and now - written_at < WRITE_EVERY:
            return
        written_at, written = now, len(results)
        changes: dict[str, object] = {"progress": min(share, 1.0), "step": name, "results": results}
        ProofRun.objects.filter(pk=proof_id).update(heartbeat_at=timezone.now(), **changes)
        announce_run(proof_id)

    return report_progress
