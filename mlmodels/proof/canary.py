"""Experiment 7: features that know the future are caught, by name, and honest ones are not accused. Pure."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from market.bars import Bars
from mlmodels.pipeline import dataset, labels, leakage
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.labels import LabelRule
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof.subject import Subject
from mlmodels.proof.thresholds import counted
from mlmodels.proof.truncation import ShareCallback

CANARY = "leak canary"
NAME = "canary"
INSTRUMENTS = 2  # of a window; more show nothing more
Column = Callable[[Bars, Floats], None]


def canaries(rule: LabelRule, timeframe: int) -> dict[str, Column]:
    """Return features that know the future, by what they contain."""

    def label(bars: Bars, out: Floats) -> None:
        out[:] = labels.label(bars, timeframe, rule).reversal

    def next_close(bars: Bars, out: Floats) -> None:
        out[:-1], out[-1] = bars.close[1:] / bars.close[:-1], 1.0

    def centred_mean(bars: Bars, out: Floats) -> None:
        out[:] = np.convolve(bars.close, np.ones(5) / 5, "same") / bars.close

    def whole_history(bars: Bars, out: Floats) -> None:
        out[:] = (bars.close - bars.close.mean()) / bars.close.std()

    return {
        "the label": label,
        "the next close": next_close,
        "a centred mean": centred_mean,
        "a mean of all prices": whole_history,
    }


def with_canary(schema: Schema, column: Column) -> Schema:
    """Return `schema` with one more feature, the canary."""

    def compute(bars: Bars, out: Floats) -> None:
        schema.compute(bars, out[:, :-1])
        column(bars, out[:, -1])

    return replace(schema, name=f"{schema.name}-{NAME}", features=(*schema.features, NAME), compute=compute)


def leak_canary(subject: Subject, trials: int, progress: ShareCallback) -> ProofResult:
    """Show that each canary in each schema is caught and named, it alone; and that without one nothing is."""
    caught, missed, done = 0, [], 0
    poisons = canaries(subject.recipe.label, subject.timeframe)
    total = trials * len(SCHEMAS) * (len(poisons) + 2)
    for number in range(trials):
        window = dict(islice(subject.window(number, trials).items(), INSTRUMENTS))
        for schema in SCHEMAS.values():
            named = {
                what: named_in(with_canary(schema, column), subject, window, number)
                for what, column in poisons.items()
            }
            named["the label, joined later"] = named_in(schema, subject, window, number, joined=True)
            wrong = [what for what, names in named.items() if names != (NAME,)]
            accused = named_in(schema, subject, window, number)
            caught += len(named) - len(wrong) + (not accused)
            missed += [f"{schema.name} with {what}: named {', '.join(named[what]) or 'nothing'}" for what in wrong]
            missed += [f"{schema.name} without a canary: {name} accused" for name in accused]
            done += len(named) + 1
            progress(done / total)
    return counted(
        CANARY,
        "a feature that contains the label or a later price is caught and named; honest features are not",
        caught,
        total,
        "at least",
        1.0,
        words="answered rightly",
        detail=[f"canaries: {', '.join([*poisons, 'the label, joined later'])}; and none", *missed],
    )


def named_in(
    schema: Schema, subject: Subject, window: dict[str, Bars], seed: int, *, joined: bool = False
) -> tuple[str, ...]:
    """Return the features that the detector names; `joined` puts the label into the finished table instead."""
    known = dataset.features_of(window, subject.timeframe, schema)
    data = dataset.gather(window, subject.timeframe, schema, subject.recipe.label, known)
    try:
        if joined:
            table = np.column_stack([data.features, data.reversal])
            leaks = leakage.too_good((*schema.features, NAME), replace(data, features=table).candidates)
            return tuple(leak.feature for leak in leaks)
        leakage.check(schema, window, known, data, seed)
    except leakage.LeakFound as leak:
        return leak.names
    return ()
