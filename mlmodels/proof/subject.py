"""What is proved upon: candles, the recipe they are trained by, and windows of them. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from market.bars import Bars, timeframe_text
from market.feeds.simulator import ASSETS, simulate
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import NotEnough
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import DAY, Schema, slice_bars

#: A trial needs as much as a small desk has after five weeks of 5-minute candles.
WINDOW_DAYS, WINDOW_BARS = 35, 10_080
HOLDOUT_DAYS, HOLDOUT_BARS = 14, 4_032
SIMULATED_BARS = 60_000
SIMULATED_FROM, SIMULATED_TIMEFRAME = 1_735_689_600, 300  # 2025-01-01, in seconds


@dataclass(frozen=True)
class Subject:
    """Candles of some instruments in one timeframe (seconds), and the recipe of the models trained on them."""

    series: Mapping[str, Bars]
    timeframe: int
    simulated: bool
    base: Recipe

    @property
    def schema(self) -> Schema:
        """The feature schema of its models."""
        return SCHEMAS[self.base.schema]

    @property
    def recipe(self) -> Recipe:
        """The recipe of a trial: the subject's own, with a short hold-out and without what no verdict needs."""
        days = holdout_days(self.timeframe)
        return replace(
            self.base, holdout_days=days, history_days=max(days + 1, self.base.history_days), importance=False
        )

    @property
    def text(self) -> str:
        """In words, with symbols and dates."""
        times = [bars.open_time for bars in self.series.values()]
        first, last = min(int(time[0]) for time in times), max(int(time[-1]) for time in times)
        dates = " to ".join(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (first, last))
        kind = "a simulated market" if self.simulated else "real candles"
        count = sum(len(time) for time in times)
        names = ", ".join(self.series)
        return f"{kind}: {names}, {timeframe_text(self.timeframe)}, {count:,} candles from {dates}"

    def window(self, number: int, count: int) -> dict[str, Bars]:
        """Return window `number` of `count`, evenly spaced over the history; where it is short they overlap.

        Raises NotEnough if the history is shorter than one window.
        """
        length = window_bars(self.timeframe)
        first = min(int(bars.open_time[0]) for bars in self.series.values()) // self.timeframe
        end = max(int(bars.open_time[-1]) for bars in self.series.values()) // self.timeframe + 1
        if end - first < length:
            raise NotEnough(
                f"{end - first:,} bars of candles, a trial needs {length:,} (and at least {WINDOW_DAYS} days)"
            )
        start = first + (end - first - length) * number // max(count - 1, 1)
        stretches = {symbol: self._between(bars, start, start + length) for symbol, bars in self.series.items()}
        return {symbol: bars for symbol, bars in stretches.items() if len(bars)}

    def _between(self, bars: Bars, first: int, last: int) -> Bars:
        edges = np.searchsorted(bars.open_time, [first * self.timeframe, last * self.timeframe])
        return slice_bars(bars, slice(*edges.tolist()))


def real(series: Mapping[str, Bars], timeframe: int, recipe: Recipe) -> Subject:
    """Return the subject of somebody's own candles."""
    return Subject(series, timeframe, False, recipe)


def simulated(recipe: Recipe | None = None, seed: int = 1, bars: int | None = None) -> Subject:
    """Return the desk's simulated market of 5-minute candles, with its regimes: there is something to find."""
    start = SIMULATED_FROM // SIMULATED_TIMEFRAME
    series = simulate(
        list(ASSETS), seed=seed, count=bars or SIMULATED_BARS, timeframe=SIMULATED_TIMEFRAME, start=start
    )
    return Subject(series, SIMULATED_TIMEFRAME, True, recipe or Recipe())


def window_bars(timeframe: int) -> int:
    """Return the length of a trial's window."""
    return max(WINDOW_BARS, WINDOW_DAYS * DAY // timeframe)


def holdout_days(timeframe: int) -> int:
    """Return how many days of a trial's window are the gate's."""
    return max(HOLDOUT_DAYS, math.ceil(HOLDOUT_BARS * timeframe / DAY))
