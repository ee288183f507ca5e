"""Rows of several instruments on one clock: features, labels and when each was known. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.bars import Bars
from mlmodels.pipeline import features, labels
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.labels import LabelRule

Mask = NDArray[np.bool_]


class NotEnough(ValueError):
    """There is too little to train or judge; the text says what is missing and how much there is."""


@dataclass(frozen=True)
class Dataset:
    """Known rows, ordered by time and then by instrument.

    `time` counts bars since 1970 (open time over timeframe), `instrument` numbers `symbols`. `excess` is the left
    move over the threshold, see `labels.Labels`.
    """

    symbols: tuple[str, ...]
    timeframe: int
    time: NDArray[np.int64]
    instrument: NDArray[np.int16]
    features: Floats
    reversal: NDArray[np.int8]
    side: NDArray[np.int8]
    excess: Floats

    def __len__(self) -> int:
        return len(self.time)

    @property
    def candidates(self) -> "Dataset":
        """The rows whose left side holds: where there is anything to predict."""
        return self.where(self.side != labels.NONE)

    @property
    def positives(self) -> int:
        """How many rows are reversals."""
        return int((self.reversal == labels.REVERSAL).sum())

    def where(self, mask: Mask) -> "Dataset":
        """Return the rows of `mask`."""
        parts = (self.time, self.instrument, self.features, self.reversal, self.side, self.excess)
        return Dataset(self.symbols, self.timeframe, *(part[mask] for part in parts))  # type: ignore[arg-type]

    def between(self, first: int, last: int) -> "Dataset":
        """Return the rows with `first <= time < last`; the arrays share memory."""
        part = slice(*np.searchsorted(self.time, [first, last]))
        parts = (self.time, self.instrument, self.features, self.reversal, self.side, self.excess)
        return Dataset(self.symbols, self.timeframe, *(column[part] for column in parts))  # type: ignore[arg-type]


def gather(
    series: Mapping[str, Bars], timeframe: int, schema: Schema, rule: LabelRule, known: Mapping[str, Floats]
) -> Dataset:
    """Return the rows of all instruments whose features and label are known.

    `known` has each symbol's features as `features.compute` gave them. Raises NotEnough if no row is left.
    """
    parts = [
        _rows(number, bars, timeframe, known[symbol], labels.label(bars, timeframe, rule))
        for number, (symbol, bars) in enumerate(series.items())
    ]
    time, instrument, rows, reversal, side, excess = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    if not len(time):
        need = max(schema.look_back, rule.look_back) + 2 * rule.window
        raise NotEnough(f"no row has known features and a known label: a stretch needs {need} bars without a gap")
    order = np.lexsort((instrument, time))
    columns = (time, instrument, rows, reversal, side, excess)
    return Dataset(tuple(series), timeframe, *(column[order] for column in columns))


def _rows(
    number: int, bars: Bars, timeframe: int, table: Floats, known: labels.Labels
) -> tuple[NDArray[np.generic], ...]:
    keep = (known.reversal != labels.UNKNOWN) & np.isfinite(table).all(axis=1)
    time = bars.open_time[keep] // timeframe
    instrument = np.full(len(time), number, np.int16)
    return time, instrument, table[keep], known.reversal[keep], known.side[keep], known.excess[keep]


def features_of(series: Mapping[str, Bars], timeframe: int, schema: Schema) -> dict[str, Floats]:
    """Return each symbol's features. Raises BadCandles naming the symbol."""
    by_symbol = {}
    for symbol, bars in series.items():
        try:
            by_symbol[symbol] = features.compute(schema, bars, timeframe)
        except features.BadCandles as error:
            raise features.BadCandles(f"{symbol}: {error}") from error
    return by_symbol
