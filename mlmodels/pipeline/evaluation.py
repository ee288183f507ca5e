"""Scoring forecasts on the rows of a hold-out: the model, its baselines and the champion, side by side. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from market.bars import Bars
from mlmodels.pipeline import dataset, labels, metrics
from mlmodels.pipeline.baselines import Constant, LeftMove
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.metrics import Bootstrap
from mlmodels.pipeline.report import Data, Holdout, Importance, Period, Report, Scores, SymbolRows
from mlmodels.pipeline.splits import Window, plan

#: (n, k) features → (n,) probabilities of a reversal.
Predict = Callable[[Floats], Floats]
IMPORTANCE_ROWS = 4000
IMPORTANCE_REPEATS = 3


@dataclass(frozen=True)
class Forecasts:
    """The probability that each forecast gives the same candidates, row by row."""

    rows: Dataset
    model: Floats
    constant: Floats
    left_move: Floats
    champion: Floats | None = None
    champion_name: str = ""


def moment(bar: int, timeframe: int) -> str:
    """Return the UTC time of a bar of the clock as ISO 8601."""
    return datetime.fromtimestamp(bar * timeframe, UTC).isoformat()


def period(window: Window, timeframe: int, bars_per_day: float) -> Period:
    """Return a window of the clock as stored in reports."""
    return {
        "first": moment(window.first, timeframe),
        "last": moment(window.last, timeframe),
        "days": round(window.bars / bars_per_day, 2),
    }


def holdout(
    forecasts: Forecasts, everything: Dataset, window: Window, recipe: Recipe, threshold: float
) -> Holdout:
    """Return all scores of the hold-out. `everything` are all its rows, also those that are no candidates."""
    rows, outcome = forecasts.rows, forecasts.rows.reversal
    boot = Bootstrap(rows.time, recipe.seed)

    def score(forecast: Floats) -> Scores:
        return metrics.scores(outcome, forecast, boot, threshold=threshold, against=forecasts.constant)

    return {
        "period": period(window, rows.timeframe, recipe.bars_per_day),
        "model": score(forecasts.model),
        "constant": score(forecasts.constant),
        "left_move": score(forecasts.left_move),
        "champion": score(forecasts.champion) if forecasts.champion is not None else None,
        "champion_name": forecasts.champion_name,
        "all_rows": _on_all_rows(forecasts, everything, recipe, threshold),
        "reliability": metrics.reliability(outcome, forecasts.model),
        "curve": metrics.curve(outcome, forecasts.model),
        "left_move_curve": metrics.curve(outcome, forecasts.left_move),
    }


def _on_all_rows(forecasts: Forecasts, everything: Dataset, recipe: Recipe, threshold: float) -> Scores:
    """Score on every row of the hold-out; what is no candidate was given probability 0."""
    probability = np.zeros(len(everything))
    probability[everything.side != labels.NONE] = forecasts.model
    rate = float(forecasts.constant[0]) * len(forecasts.rows) / max(len(everything), 1)
    boot = Bootstrap(everything.time, recipe.seed)
    constant = np.full(len(everything), rate)
    return metrics.scores(everything.reversal, probability, boot, threshold=threshold, against=constant)


def importance(predict: Predict, rows: Dataset, names: tuple[str, ...], seed: int) -> list[Importance]:
    """Return by how much the log-loss grows when each feature is shuffled, the largest first (Breiman 2001)."""
    generator = np.random.default_rng(seed)
    if len(rows) > IMPORTANCE_ROWS:
        keep = np.zeros(len(rows), bool)
        keep[generator.choice(len(rows), IMPORTANCE_ROWS, replace=False)] = True
        rows = rows.where(keep)
    base = metrics.log_loss(rows.reversal, predict(rows.features)).mean()
    importances: list[Importance] = []
    for column, name in enumerate(names):
        costs = [_shuffled_loss(predict, rows, column, generator) - base for _ in range(IMPORTANCE_REPEATS)]
        importances.append({"feature": name, "mean": float(np.mean(costs)), "spread": float(np.std(costs))})
    return sorted(importances, key=lambda item: -item["mean"])


def _shuffled_loss(predict: Predict, rows: Dataset, column: int, generator: np.random.Generator) -> float:
    table = rows.features.copy()
    table[:, column] = generator.permutation(table[:, column])
    return float(metrics.log_loss(rows.reversal, predict(table)).mean())


def describe(series: Mapping[str, Bars], data: Dataset) -> Data:
    """Return what was read, symbol by symbol."""
    chosen = data.candidates
    return {
        "symbols": [_symbol(name, bars, data.timeframe) for name, bars in series.items()],
        "rows": len(data),
        "candidates": len(chosen),
        "positives": data.positives,
        "base_rate": data.positives / max(len(data), 1),
        "candidate_base_rate": chosen.positives / max(len(chosen), 1),
    }


def _symbol(name: str, bars: Bars, timeframe: int) -> SymbolRows:
    first, last = (datetime.fromtimestamp(int(bars.open_time[i]), UTC).isoformat() for i in (0, -1))
    stretches = int((np.diff(bars.open_time) != timeframe).sum()) + 1
    return {"symbol": name, "candles": len(bars), "first": first, "last": last, "stretches": stretches}


def rescore(
    predict: Predict, schema: Schema, recipe: Recipe, series: Mapping[str, Bars], timeframe: int
) -> Report:
    """Score a finished model on the hold-out of `series`, beside baselines fitted before it.

    Whether the model has seen those rows only its maker knows: a page that shows the report has to mention it.
    Raises NotEnough and BadCandles.
    """
    known = dataset.features_of(series, timeframe, schema)
    data = dataset.gather(series, timeframe, schema, recipe.label, known)
    splits = plan(data, recipe)
    before = data.between(*splits.development).candidates
    rows = data.between(*splits.holdout)
    chosen = rows.candidates
    forecasts = Forecasts(
        chosen, predict(chosen.features), Constant(before).predict(chosen), LeftMove(before).predict(chosen)
    )
    threshold = metrics.best_threshold(before.reversal, predict(before.features))
    return {
        "data": describe(series, data),
        "label": recipe.label.text,
        "trained": None,
        "folds": [],
        "walk_forward": None,
        "holdout": holdout(forecasts, rows, splits.holdout, recipe, threshold),
        "importance": importance(predict, chosen, schema.features, recipe.seed),
        "seconds": {},
    }
