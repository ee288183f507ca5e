"""Candles as arrays, and times on the grid of a timeframe. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# The epoch was a Thursday; weeks begin on Monday.
WEEK_OFFSET = 4 * 86_400


@dataclass(frozen=True)
class Bars:
    """Candles of one instrument, oldest first, as equally long arrays. `open_time` is in seconds since 1970."""

    open_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.open_time)

    def part(self, mask: NDArray[np.bool_]) -> "Bars":
        """Return the bars where `mask` is true."""
        prices = (column[mask] for column in (self.open, self.high, self.low, self.close, self.volume))
        return Bars(self.open_time[mask], *prices)


def parse_timeframe(text: str) -> int:
    """Return the seconds of "5m", "1h", "5S", "1D" or TradingView's bare minutes "5". Raises ValueError.

    A capital M would be a month, which has no fixed length.
    """
    text = text.strip()
    if text.isdecimal() and int(text) > 0:
        return int(text) * 60
    number, unit = text[:-1], text[-1:]
    seconds = 0 if unit == "M" else UNITS.get(unit.lower(), 0)
    if not number.isdecimal() or not int(number) * seconds:
        raise ValueError(f"{text!r} is not a timeframe: write 30s, 5m, 1h, 1d or 1w")
    return int(number) * seconds


def timeframe_text(seconds: int) -> str:
    """Return "5m" for 300: the largest unit that divides it."""
    unit = max((unit for unit in UNITS if seconds % UNITS[unit] == 0), key=lambda unit: UNITS[unit])
    return f"{seconds // UNITS[unit]}{unit}"


def grid_offset(timeframe: int) -> int:
    """Return where the grid of `timeframe` begins, in seconds after the epoch."""
    return WEEK_OFFSET if timeframe % UNITS["w"] == 0 else 0


def bar_start(at: datetime, timeframe: int) -> datetime:
    """Return the open time of the bar that is forming at `at`."""
    offset = grid_offset(timeframe)
    seconds = int(at.timestamp()) - offset
    return datetime.fromtimestamp(seconds - seconds % timeframe + offset, UTC)


def bar_after(at: datetime, timeframe: int) -> datetime:
    """Return the open time of the first bar that opens at or after `at`."""
    start = bar_start(at, timeframe)
    return start if start == at else start + timedelta(seconds=timeframe)


def last_closed(at: datetime, timeframe: int) -> datetime:
    """Return the open time of the newest bar that is closed at `at`."""
    return bar_start(at, timeframe) - timedelta(seconds=timeframe)
