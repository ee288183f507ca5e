"""An imported model on candles of this desk: what it is worth here, whatever its folder claims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed

from market.bars import Bars
from mlmodels.pipeline import dataset, evaluation
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import NotEnough
from mlmodels.pipeline.features import BadCandles, Schema
from mlmodels.pipeline.labels import NONE, PROFILES, REVERSAL
from mlmodels.pipeline.report import Report

#: Share of the days that it is scored on; in the ones before them the baselines are fitted.
SCORED = 0.6
LEAST_POSITIVES = 30  # fewer, and a resample of the interval may have none
Rescore = Callable[[evaluation.Predict, Schema, Recipe, Mapping[str, Bars], int], Report]


@dataclass(frozen=True)
class Scored:
    """A report, or none, and what a reader must know about it."""

    report: Report | None
    notes: tuple[str, ...]


def score(
    predict: evaluation.Predict,
    schema: Schema,
    recipe: Recipe,
    series: Mapping[str, Bars],
    timeframe: int,
    rescore: Rescore = evaluation.rescore,
) -> Scored:
    """Score on the last part of `series` by the model's own label, or by the desk's where that is too rare.

    `timeframe` is in seconds.
    """
    series = {symbol: bars for symbol, bars in series.items() if len(bars)}
    if not series:
        return Scored(
            None, ("Not scored: there are no real candles of its timeframe. Import some, then it again.",)
        )
    wide, notes = _widened(recipe, series, timeframe), []
    rare = _positives(schema, wide, series, timeframe) < LEAST_POSITIVES
    if rare and wide.label != PROFILES["default"]:
        notes.append(
            f"Its own label ({wide.label.text}) is true fewer than {LEAST_POSITIVES} times in the candles that it "
            f"was scored on, so it was scored by the desk's: {PROFILES['default'].text}."
        )
        wide = changed(wide, label=PROFILES["default"])
    try:
        report = rescore(predict, schema, wide, series, timeframe)
    except (NotEnough, BadCandles) as error:
        return Scored(None, (f"Not scored: {error}.",))
    notes.append(
        "Scored on candles of this desk. Whether it was trained on some of them, its folder does not tell."
    )
    return Scored(report, tuple(notes))


def _widened(recipe: Recipe, series: Mapping[str, Bars], timeframe: int) -> Recipe:
    """Return the recipe with the largest hold-out that leaves something for the baselines."""
    first = min(int(bars.open_time[0]) for bars in series.values())
    last = max(int(bars.open_time[-1]) for bars in series.values())
    days = int((last - first) / timeframe / recipe.bars_per_day)
    holdout = max(1, int(days * SCORED))
    return changed(recipe, history_days=max(days, holdout + 1), holdout_days=holdout, folds=2)


def _positives(schema: Schema, recipe: Recipe, series: Mapping[str, Bars], timeframe: int) -> int:
    """Return how often the label is true of a candidate in the hold-out; 0 where nothing is known."""
    try:
        known = dataset.features_of(series, timeframe, schema)
        data = dataset.gather(series, timeframe, schema, recipe.label, known)
    except (NotEnough, BadCandles):
        return 0
    held = data.time >= data.time[-1] + 1 - recipe.holdout_bars
    return int((held & (data.side != NONE) & (data.reversal == REVERSAL)).sum())
