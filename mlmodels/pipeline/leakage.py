"""Features that know the future: found and named before anything is trained on them. Pure.

Two looks. The first cuts the candles at a few random bars and computes again: a feature whose past changes has
seen what was cut off. The second needs no candles: a single feature that separates reversals nearly perfectly is
not that good, it contains the label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from market.bars import Bars
from mlmodels.pipeline import features, metrics
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.labels import REVERSAL

CUTS = 6  # of each instrument
COMPARED = 24  # bars before a cut: more than any label looks ahead
#: Average precision of one feature alone. The best honest ones reach .45 on candidates.
IMPLAUSIBLE = 0.9
BINS, POSITIVES_IN_A_BIN = 32, 20


@dataclass(frozen=True)
class Leak:
    """A feature and how it was detected."""

    feature: str
    text: str


class LeakFound(ValueError):
    """Features know the future. `names` are theirs; the text says how each was found."""

    def __init__(self, leaks: Sequence[Leak]) -> None:
        """Name the features, each once."""
        self.leaks = tuple(leaks)
        self.names = tuple(dict.fromkeys(leak.feature for leak in leaks))
        super().__init__("; ".join(leak.text for leak in leaks))


def check(
    schema: Schema, series: Mapping[str, Bars], known: Mapping[str, Floats], data: Dataset, seed: int = 0
) -> None:
    """Raise LeakFound if a feature of `schema` knows the future.

    `known` has the features of each symbol from all of its candles, `data` the rows that are to be trained on.
    """
    leaks = changed_by_cut(schema, series, data.timeframe, known, seed)
    named = {leak.feature for leak in leaks}
    leaks += [leak for leak in too_good(schema.features, data.candidates) if leak.feature not in named]
    if leaks:
        raise LeakFound(leaks)


def changed_by_cut(
    schema: Schema, series: Mapping[str, Bars], timeframe: int, known: Mapping[str, Floats], seed: int
) -> list[Leak]:
    """Return the features that are something else when the candles after them are cut away; each once."""
    generator = np.random.default_rng(seed)
    by_feature: dict[str, Leak] = {}
    for symbol, bars in series.items():
        usable = np.flatnonzero(np.isfinite(known[symbol]).any(axis=1))[:-1]
        for bar in generator.choice(usable, min(CUTS, len(usable)), replace=False):
            for leak in _compare(schema, symbol, bars, timeframe, known[symbol], int(bar)):
                by_feature.setdefault(leak.feature, leak)
    return list(by_feature.values())


def _compare(schema: Schema, symbol: str, bars: Bars, timeframe: int, known: Floats, bar: int) -> list[Leak]:
    """Compute the features of the last bars up to `bar` without what follows it."""
    first = max(0, bar + 1 - COMPARED)
    rows = slice(first, bar + 1)
    alone = features.compute(schema, features.slice_bars(bars, slice(bar + 1)), timeframe)[rows]
    with_future = known[rows]
    leaks = []
    for column, name in enumerate(schema.features):
        differ = np.flatnonzero(~_same(alone[:, column], with_future[:, column]))
        if len(differ):
            at = int(differ[-1])
            leaks.append(Leak(name, f"{name} knows the future: at bar {first + at} of {symbol} it is "
                              f"{with_future[at, column]:.6g}, and {alone[at, column]:.6g} when the candles after "
                              f"bar {bar} are cut away"))  # fmt: skip
    return leaks


def _same(left: Floats, right: Floats) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return where two columns are bit for bit the same, missing values included."""
    return np.asarray((left == right) | (np.isnan(left) & np.isnan(right)))


def too_good(names: Sequence[str], rows: Dataset) -> list[Leak]:
    """Return the features that alone separate the reversals among candidates as no honest feature does."""
    outcome = (rows.reversal == REVERSAL).astype(np.int8)
    positives = int(outcome.sum())
    if positives < 2 * POSITIVES_IN_A_BIN or positives == len(outcome):
        return []
    bins = min(BINS, positives // POSITIVES_IN_A_BIN)
    leaks = []
    for column, name in enumerate(names):
        reached = metrics.average_precision(outcome, _rates(rows.features[:, column], outcome, bins))
        if reached > max(IMPLAUSIBLE, 1 - (1 - outcome.mean()) / 5):
            leaks.append(Leak(name, f"{name} contains the answer: alone it reaches an average precision of "
                              f"{reached:.3f} where {outcome.mean():.3f} are reversals"))  # fmt: skip
    return leaks


def _rates(column: Floats, outcome: "np.ndarray[tuple[int], np.dtype[np.int8]]", bins: int) -> Floats:
    """Return for each row how often reversals came in its bin of `column`: a ranking of any shape."""
    edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)))
    number = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, max(len(edges) - 2, 0))
    if len(edges) <= 2:  # a flag: its two values are its bins
        number = (column > column.min()).astype(np.int64)
    counts = np.bincount(number, minlength=1)
    return np.asarray((np.bincount(number, weights=outcome) / np.maximum(counts, 1))[number])
