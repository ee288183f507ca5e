"""Bars at which to look closely, and how far two tables of values are apart. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from market.bars import Bars
from mlmodels.pipeline.features import Floats, segments, slice_bars

HOLES = 3  # cut into each series, so that gaps are looked at even where there are none
NEAR = 3  # bars on either side of where a feature becomes known after a gap


@dataclass
class Worst:
    """The largest difference seen, of which value and where; and which values differed beyond the tolerance."""

    tolerance: float
    difference: float = 0.0
    name: str = ""
    place: str = ""
    beyond: set[str] = field(default_factory=set)
    compared: int = 0

    def compare(
        self, names: Sequence[str], left: Floats, right: Floats, place: str, unit: Floats | float = 1.0
    ) -> None:
        """Compare two rows of values. A value that is missing on one side only differs infinitely."""
        missing = np.isnan(left) != np.isnan(right)
        with np.errstate(invalid="ignore"):
            apart = np.where(left == right, 0.0, np.abs(left - right) / unit)
        apart = np.where(missing, np.inf, np.nan_to_num(apart, nan=0.0, posinf=np.inf))
        self.compared += len(names)
        self.beyond |= {name for name, size in zip(names, apart, strict=True) if size > self.tolerance}
        largest = int(np.argmax(apart))
        if apart[largest] > self.difference:
            self.difference, self.name, self.place = float(apart[largest]), names[largest], place

    @property
    def text(self) -> str:
        """The largest difference with its name and place."""
        if not self.difference:
            return "no difference at all"
        return f"largest difference {self.difference:.1e} ({self.name} at {self.place})"


def with_holes(series: Mapping[str, Bars], generator: np.random.Generator) -> dict[str, Bars]:
    """Return the series with a few stretches of 1 to 30 bars cut out of each."""
    return {symbol: _with_holes(bars, generator) for symbol, bars in series.items()}


def _with_holes(bars: Bars, generator: np.random.Generator) -> Bars:
    keep = np.ones(len(bars), bool)
    for first in generator.integers(0, len(bars), HOLES):
        keep[first : first + int(generator.integers(1, 31))] = False
    return Bars(*(getattr(bars, name)[keep] for name in ("open_time", "open", "high", "low", "close", "volume")))


def moments(
    bars: Bars, timeframe: int, look_back: int, count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return `count` random bars, and those just before and after a value becomes known behind each gap."""
    edges = [part.start for part in segments(bars.open_time, timeframe)]
    near = [edge + shift + step for edge in edges for shift in (0, look_back) for step in range(-NEAR, NEAR + 1)]
    chosen = np.concatenate([generator.integers(0, len(bars), count), np.array(near, dtype=np.int64)])
    return np.unique(chosen[(chosen >= 0) & (chosen < len(bars))])


def up_to(bars: Bars, at: NDArray[np.int64]) -> Iterator[tuple[int, Bars]]:
    """Yield each of the bars `at` with the candles up to and including it."""
    for bar in at.tolist():
        yield bar, slice_bars(bars, slice(bar + 1))
