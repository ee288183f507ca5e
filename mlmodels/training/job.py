"""From a run's row to a version: candles out of the database, the pipeline, all kept in one transaction."""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from threadpoolctl import threadpool_limits

from market.bars import Bars
from market.series import EARLIEST, Series, load_bars
from mlmodels.models import ModelVersion, TrainingRun
from mlmodels.pipeline import estimators
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import NotEnough
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import BadCandles
from mlmodels.pipeline.incumbent import Incumbent
from mlmodels.pipeline.progress import ProgressCallback, Step, ignore_progress
from mlmodels.pipeline.retrainer import ModelRetrainer, Trained
from mlmodels.registry import artefacts, families, versions
from mlmodels.registry.families import FamilyKey
from mlmodels.training import runs

#: Progress is written at most so often (seconds); what has a sentence is written at once.
WRITE_EVERY = 0.3
#: What a training may fail with: stored in its own words, without a traceback.
EXPECTED = (NotEnough, BadCandles, estimators.UnknownEstimator, ValueError)


def execute(run: TrainingRun, also: ProgressCallback = ignore_progress) -> TrainingRun:
    """Train `run` in this process, which holds the lock, and return its row as it ended.

    `also` gets the progress too, besides the row. Whatever goes wrong leaves the champion as it was; what nobody
    expected is raised again, once the row says so.
    """
    try:
        # One thread: the same recipe gives the same numbers everywhere, and a busy machine is not slowed down.
        with threadpool_limits(1):
            _trainer(run, _progress_writer(run.pk, also)).run()
    except runs.Canceled:
        runs.end(run.pk, runs.State.CANCELED)
    except runs.UnreadableRecipe as error:
        _fail(run, f"{error}. The champion was not touched.")
    except EXPECTED as error:
        _fail(run, f"{error}. {_left_out(run)}The champion was not touched.")
    except Exception as error:  # a row without an end would be taken for a killed process
        _fail(run, f"{type(error).__name__}: {error}. The champion was not touched; the log has the details.")
        raise
    run.refresh_from_db()
    return run


def _fail(run: TrainingRun, text: str) -> None:
    runs.write(run.pk, text)
    runs.end(run.pk, runs.State.FAILED, error=text[:1].upper() + text[1:])


def _trainer(run: TrainingRun, progress: ProgressCallback) -> ModelRetrainer:
    recipe, key = runs.recipe_of(run), runs.key_of(run)
    if recipe.schema not in SCHEMAS:
        raise ValueError(f"there is no feature schema {recipe.schema!r}; there are {', '.join(SCHEMAS)}")
    status = versions.champion_status(key.slug)
    champion = None if status.expired else status.champion
    return ModelRetrainer(
        recipe,
        SCHEMAS[recipe.schema],
        key.timeframe,
        load=lambda: _loaded(key, recipe, progress),
        save=lambda trained: keep(run, key, champion, trained),
        incumbent=lambda: incumbent(champion),
        attempt=versions.attempts(key.slug) + 1,
        progress=progress,
    )


def candles(key: FamilyKey, recipe: Recipe) -> dict[str, Bars]:
    """Return the newest `history_days` of candles of a family's instruments, by symbol.

    Raises NotEnough naming the symbols of the recipe that have no such candles.
    """
    series = _series(key, recipe)
    if recipe.symbols and (missing := sorted(set(recipe.symbols) - {one.symbol for one in series})):
        raise NotEnough(f"there are no candles of {', '.join(missing)} among {key.text}")
    since = _since(key, recipe, series)
    return {one.symbol: load_bars(one.instrument_id, one.timeframe, since) for one in series}


def left_out(key: FamilyKey, recipe: Recipe) -> list[str]:
    """Return a sentence for each instrument whose candles are all too old for the window of the training.

    All instruments share one window, so that nothing later than a row is learned from: it ends with the newest
    candle of any of them.
    """
    series = _series(key, recipe)
    since = _since(key, recipe, series)
    newest = max(series, key=lambda one: one.last, default=None)
    if newest is None:
        return []
    latest = f"the newest candle, {newest.last:%d %b %Y} of {newest.symbol}"
    why = f"more than {recipe.history_days} days older than {latest}"
    return [
        f"{_days(one, recipe)} days of {one.symbol} were left out: {why}" for one in series if one.last < since
    ]


def _days(one: Series, recipe: Recipe) -> str:
    return f"{one.bars / recipe.bars_per_day:.1f}"


def _series(key: FamilyKey, recipe: Recipe) -> list[Series]:
    rows = families.series_of(key)
    return [one for one in rows if one.symbol in recipe.symbols] if recipe.symbols else rows


def _since(key: FamilyKey, recipe: Recipe, series: Sequence[Series]) -> datetime:
    """Return where the window of a training begins: `history_days` before the newest candle of all."""
    length = timedelta(seconds=key.timeframe * recipe.bars_per_day * recipe.history_days)
    return max((one.last for one in series), default=EARLIEST + length) - length


def _loaded(key: FamilyKey, recipe: Recipe, progress: ProgressCallback) -> dict[str, Bars]:
    """Return the candles, and say in the log of the run what was left out of them."""
    for sentence in left_out(key, recipe):
        progress(Step.LOAD, 0.0, sentence)
    return candles(key, recipe)


def _left_out(run: TrainingRun) -> str:
    """Return what was left out of a failed training as sentences, each with its space; empty where nothing was."""
    sentences = left_out(runs.key_of(run), runs.recipe_of(run))
    return "".join(f"{sentence}. " for sentence in sentences)


def incumbent(version: ModelVersion | None) -> Incumbent | None:
    """Return the champion as the incumbent of a training; None if there is none, or it can't be loaded."""
    if version is None or version.schema not in SCHEMAS:
        return None
    try:
        model = artefacts.load(version)
    except artefacts.BadArtefact:
        return None
    seen = int(version.trained_to.timestamp()) // version.timeframe if version.trained_to else None
    schema = SCHEMAS[version.schema]
    return Incumbent(version.name, schema, lambda rows: estimators.probability(model, rows), seen)


@transaction.atomic
def keep(run: TrainingRun, key: FamilyKey, champion: ModelVersion | None, trained: Trained) -> ModelVersion:
    """Store a version with its artefact, apply the gate's verdict, and end its run: all or nothing.

    Raises Canceled if the run was stopped meanwhile.
    """
    version = ModelVersion.objects.create(
        name=versions.free_name(), family=key.slug, timeframe=key.timeframe, simulated=key.simulated,
        schema=trained.schema.name, schema_hash=trained.schema.hash, recipe=trained.recipe.as_json(),
        threshold=trained.threshold, trained_from=_moment(trained.first, key), training_rows=trained.rows,
        trained_to=_moment(trained.trained_to, key), report=trained.report, verdict=trained.verdict,
    )  # fmt: skip
    artefacts.store(version, trained.model, trained.golden)
    promoted = versions.apply_verdict(version=version, verdict=trained.verdict, compared_with=champion)
    words = "promoted" if promoted else trained.verdict["text"]
    if not runs.end(run.pk, runs.State.SUCCEEDED, verdict=words, version=version):
        raise runs.Canceled
    TrainingRun.objects.filter(pk=run.pk).update(peak_memory=peak_memory())
    return version


def _moment(bar: int, key: FamilyKey) -> datetime:
    return datetime.fromtimestamp(bar * key.timeframe, UTC)


def peak_memory() -> int:
    """Return the most memory that this process was resident with, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _progress_writer(run_id: int, also: ProgressCallback) -> Callable[[Step, float, str], None]:
    """Return what the pipeline calls: writes the row, and stops the run if that was requested."""
    written_at, written_step = 0.0, ""

    def report_progress(step: Step, share: float, text: str) -> None:
        nonlocal written_at, written_step
        if runs.must_stop(run_id):
            raise runs.Canceled
        also(step, share, text)
        now = time.monotonic()
        if not text and step == written_step and now - written_at < WRITE_EVERY:
            return
        written_at, written_step = now, step
        runs.write(run_id, text, step=step.value, progress=min(share, 1.0))

    return report_progress
