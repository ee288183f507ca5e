"""Scores of bars by a model: features, side, probability. Pure: arrays in, values out.

The score of a bar is a function of the same number of bars up to it, however many more are there: computed when
the bar closes, or later when a worker was away, it is the same to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.bars import Bars
from mlmodels.pipeline import estimators, features, labels
from mlmodels.pipeline.estimators import Estimator
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.labels import LabelRule

SIDES = {labels.PEAK: "peak", labels.TROUGH: "trough", labels.NONE: "none"}


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model, and what has to be known of a bar to score it. `timeframe` is in seconds."""

    model: Estimator
    schema: Schema
    rule: LabelRule
    timeframe: int

    @property
    def need(self) -> int:
        """How many bars before a bar, of the same gap-free stretch, its features and its side depend on."""
        return max(self.schema.look_back, self.rule.look_back, self.rule.window)


@dataclass(frozen=True, slots=True)
class BarScore:
    """One bar as it was known at its close; `open_time` is in seconds. `probability` is 0 without a side."""

    instrument_id: int
    open_time: int
    side: str
    probability: float
    features: Floats


@dataclass(frozen=True, slots=True)
class _KnownBar:
    """A bar whose features are known, with its side."""

    instrument_id: int
    open_time: int
    side: int
    features: Floats


def score_bars(scorer: Scorer, series: Sequence[tuple[int, Bars, int]]) -> list[BarScore]:
    """Return the score of every bar later than a moment for which enough is known, in one batch.

    `series` has instrument, bars and that moment (open time in seconds, excluded) each.
    """
    rows = [
        row for instrument_id, bars, after in series for row in _known_bars(scorer, instrument_id, bars, after)
    ]
    if not rows:
        return []
    candidates = np.array([row.side != labels.NONE for row in rows])
    probability = np.zeros(len(rows))
    if candidates.any():
        table = np.array([row.features for row in rows])
        probability[candidates] = estimators.probability(scorer.model, table[candidates])
    return [
        BarScore(row.instrument_id, row.open_time, SIDES[row.side], float(value), row.features)
        for row, value in zip(rows, probability, strict=True)
    ]


def _known_bars(scorer: Scorer, instrument_id: int, bars: Bars, after: int) -> list[_KnownBar]:
    """Return the bars later than `after` whose features are known, with their side."""
    timeframe, need = scorer.timeframe, scorer.need
    known = (preceding(bars.open_time, timeframe) >= need) & (bars.open_time > after)
    rows = []
    for number in np.flatnonzero(known):
        window = features.slice_bars(bars, slice(int(number) - need, int(number) + 1))
        row = features.compute(scorer.schema, window, timeframe)[-1]
        if np.isfinite(row).all():
            side, _ = labels.left_side(window, timeframe, scorer.rule)
            rows.append(_KnownBar(instrument_id, int(bars.open_time[number]), int(side[-1]), row))
    return rows


def preceding(open_time: NDArray[np.int64], timeframe: int) -> NDArray[np.int64]:
    """Return how many bars of the same gap-free stretch come before each bar."""
    count = np.empty(len(open_time), np.int64)
    for part in features.segments(open_time, timeframe):
        count[part] = np.arange(part.stop - part.start)
    return count
