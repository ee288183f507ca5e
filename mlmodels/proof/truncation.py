"""Experiments 1 and 2: a prediction depends on nothing after its bar, and on nothing long before it. Pure."""

from collections.abc import Callable, Sequence

import numpy as np

from market.bars import Bars
from mlmodels.pipeline import estimators, features, labels
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.leakage import LeakFound
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof.sampling import Worst, moments, up_to, with_holes
from mlmodels.proof.subject import Subject
from mlmodels.proof.trials import attempt

SEED = 11
TRUNCATION, WARM_UP = "truncation", "warm-up"
#: Of the spread of a value: what is left of an average's memory and of rounding in running sums.
MEMORY = 1e-6
BATCH = 500  # rows that are predicted together with one
SIDE = ("side", "left move")
ShareCallback = Callable[[float], None]


def truncation(subject: Subject, points: int, progress: ShareCallback) -> ProofResult:
    """Show that features, predictions and the left side at a bar are the same without the candles after it."""
    model = _model(subject)
    worst, generator = Worst(0.0), np.random.default_rng(SEED)
    everything = with_holes(subject.series, generator)
    each = max(1, points // len(everything))
    for number, (symbol, bars) in enumerate(everything.items()):
        for schema in SCHEMAS.values():
            _cut_features(worst, schema, symbol, bars, subject, each, generator, model)
        _cut_left_side(worst, symbol, bars, subject, each, generator)
        progress((number + 1) / len(everything))
    return _result(
        TRUNCATION,
        "features, predictions and the left side at a bar are bit for bit the same with and without later candles",
        worst,
        len(everything),
    )


def _model(subject: Subject) -> estimators.Estimator | None:
    """Return a model of the subject; None where the pipeline refuses to train, for a leak that is named anyway."""
    try:
        return attempt(subject.window(0, 1), subject.timeframe, subject.schema, subject.recipe).model
    except LeakFound:
        return None


def _cut_features(
    worst: Worst, schema: Schema, symbol: str, bars: Bars, subject: Subject, count: int,
    generator: np.random.Generator, model: estimators.Estimator | None,
) -> None:  # fmt: skip
    whole = features.compute(schema, bars, subject.timeframe)
    names = [f"{schema.name}.{name}" for name in schema.features]
    for bar, past in up_to(bars, moments(bars, subject.timeframe, schema.look_back, count, generator)):
        place = f"bar {bar} of {symbol}"
        alone = features.compute(schema, past, subject.timeframe)[-1]
        worst.compare(names, alone, whole[bar], place)
        if model and schema.hash == subject.schema.hash and np.isfinite(alone).all():
            batch = whole[max(0, bar - BATCH) : bar + 1]
            batch = batch[np.isfinite(batch).all(axis=1)]
            worst.compare(["prediction"], _predicted(model, alone[None]), _predicted(model, batch), place)


def _predicted(model: estimators.Estimator, rows: Floats) -> Floats:
    return estimators.probability(model, rows)[-1:]


def _cut_left_side(
    worst: Worst, symbol: str, bars: Bars, subject: Subject, count: int, generator: np.random.Generator
) -> None:
    rule = subject.recipe.label
    whole = _left_side(bars, subject)
    for bar, past in up_to(bars, moments(bars, subject.timeframe, rule.look_back, count, generator)):
        worst.compare(SIDE, _left_side(past, subject)[-1], whole[bar], f"bar {bar} of {symbol}")


def _left_side(bars: Bars, subject: Subject) -> Floats:
    side, excess = labels.left_side(bars, subject.timeframe, subject.recipe.label)
    return np.column_stack([side.astype(float), excess])


def warm_up(subject: Subject, points: int, progress: ShareCallback) -> ProofResult:
    """Show that a window of look-back + 1 bars is enough, and that with one bar less there is no value."""
    worst, generator = Worst(MEMORY), np.random.default_rng(SEED)
    each = max(1, points // len(subject.series))
    for number, (symbol, bars) in enumerate(subject.series.items()):
        for schema in SCHEMAS.values():
            _from_short_windows(worst, schema, symbol, bars, subject.timeframe, each, generator)
        _side_from_short_windows(worst, symbol, bars, subject, each, generator)
        progress((number + 1) / len(subject.series))
    return _result(
        WARM_UP,
        f"look-back + 1 bars give the values of the whole history within {MEMORY:g} of its spread, fewer none",
        worst,
        len(subject.series),
    )


def _from_short_windows(
    worst: Worst, schema: Schema, symbol: str, bars: Bars, timeframe: int, count: int,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    whole = features.compute(schema, bars, timeframe)
    unit = np.maximum(np.nanstd(whole, axis=0), np.finfo(float).tiny)
    names = [f"{schema.name}.{name}" for name in schema.features]
    for bar in moments(bars, timeframe, schema.look_back, count, generator).tolist():
        first = bar - schema.look_back
        if first < 0 or np.isnan(whole[bar]).all():
            continue
        short = features.compute(schema, features.slice_bars(bars, slice(first, bar + 1)), timeframe)
        place = f"bar {bar} of {symbol}"
        worst.compare(names, short[-1], whole[bar], place, unit)
        known = np.isfinite(short[:-1]).any(axis=0).astype(float)
        worst.compare([f"{name} too early" for name in names], known, np.zeros(len(names)), place)


def _side_from_short_windows(
    worst: Worst, symbol: str, bars: Bars, subject: Subject, count: int, generator: np.random.Generator
) -> None:
    need = max(subject.recipe.label.look_back, subject.recipe.label.window)
    whole = _left_side(bars, subject)
    unit = np.array([1.0, np.nanstd(whole[:, 1])])
    for bar in moments(bars, subject.timeframe, need, count, generator).tolist():
        if bar >= need and np.isfinite(whole[bar]).all():
            short = _left_side(features.slice_bars(bars, slice(bar - need, bar + 1)), subject)
            worst.compare(SIDE, short[-1], whole[bar], f"bar {bar} of {symbol}", unit)


def _result(name: str, claim: str, worst: Worst, instruments: int) -> ProofResult:
    named: Sequence[str] = sorted(worst.beyond)
    return {
        "name": name,
        "ok": not named and worst.compared > 0,
        "claim": claim,
        "found": f"{worst.compared:,} values of {instruments} instruments compared: {worst.text}",
        "trials": worst.compared,
        "count": None,
        "share": None,
        "detail": [f"differs: {each}" for each in named],
    }
