"""Which rows of a chunk are candles, and what is wrong with the others. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from market.bars import grid_offset
from market.importing.columns import MICROS, Mask, to_micros, to_numbers
from market.importing.names import NUMBERS
from market.importing.reading import Chunk

SMALLEST_PRICE, LARGEST_PRICE, LARGEST_VOLUME = 1e-10, 1e17, 1e21  # what numeric(28, 10) and (32, 10) hold


@dataclass(frozen=True)
class Checked:
    """The good rows of a chunk, oldest first, and `(line, reason)` of the others."""

    seconds: NDArray[np.int64]
    floats: dict[str, NDArray[np.float64]]
    exact: dict[str, pa.Array]
    bad: list[tuple[int, str]]


class Checker:
    """Checks the chunks of one file in turn: the order of its rows goes across chunks."""

    def __init__(self, timeframe: int, now: float) -> None:
        """`timeframe` in seconds; `now` in seconds since 1970: a candle must be closed by then."""
        self.timeframe = timeframe
        self.now = now
        self.direction = 0  # 1 oldest first, -1 newest first (as some exchanges write), 0 not known yet
        self.reached: int | None = None

    def check(self, chunk: Chunk) -> Checked:
        """Return the rows of `chunk` that are candles, and why the others are not."""
        micros, unreadable = to_micros(chunk.columns["time"])
        floats, exact = {}, {}
        for name in NUMBERS:
            floats[name], exact[name] = to_numbers(chunk.columns[name])
        reasons = np.zeros(len(micros), dtype=np.int16)
        texts = ["", "the time can't be read"]
        reasons[unreadable] = 1
        for mask, text in (*self._problems_of_values(floats), *self._problems_of_times(micros)):
            texts.append(text)
            reasons[mask & (reasons == 0)] = len(texts) - 1
        good = self._in_order(micros, reasons, texts)
        bad = [(int(chunk.lines[row]), texts[reasons[row]]) for row in np.flatnonzero(reasons)]
        return _chosen(good, micros // MICROS, floats, exact, bad)

    def _problems_of_values(self, floats: dict[str, NDArray[np.float64]]) -> Iterator[tuple[Mask, str]]:
        for name in NUMBERS:
            yield ~np.isfinite(floats[name]), f"{name} is not a number"
        for name in NUMBERS[:4]:
            yield ~(floats[name] >= SMALLEST_PRICE), f"{name} is not above zero"
            yield floats[name] >= LARGEST_PRICE, f"{name} is too large"
        yield ~(floats["volume"] >= 0), "volume is negative"
        yield floats["volume"] >= LARGEST_VOLUME, "volume is too large"
        yield floats["high"] < floats["low"], "high is below low"
        for name in ("open", "close"):
            outside = (floats[name] > floats["high"]) | (floats[name] < floats["low"])
            yield outside, f"{name} lies outside low and high"

    def _problems_of_times(self, micros: NDArray[np.int64]) -> Iterator[tuple[Mask, str]]:
        size = self.timeframe * MICROS
        yield (micros - grid_offset(self.timeframe) * MICROS) % size != 0, "the time is not a bar's start"
        yield micros + size > self.now * MICROS, "the candle is not closed yet"

    def _in_order(
        self, micros: NDArray[np.int64], reasons: NDArray[np.int16], texts: list[str]
    ) -> NDArray[np.int64]:
        """Mark rows that repeat or go back in time, and return the places of the good ones, oldest first."""
        rows = np.flatnonzero(reasons == 0)
        times = micros[rows]
        self.direction = self.direction or _direction(times)
        steps = times * (self.direction or 1)
        late = _late(steps, self.reached)
        repeated = late & np.isin(times, times[~late])
        if self.reached is not None:
            repeated |= steps == self.reached
        texts += ["the open time occurs twice", "the time is out of order"]
        reasons[rows[late]] = len(texts) - 1
        reasons[rows[late & repeated]] = len(texts) - 2
        good = rows[~late]
        if len(good):
            self.reached = int(steps[~late].max())
        return good if self.direction >= 0 else good[::-1]


def _direction(times: NDArray[np.int64]) -> int:
    return int(np.sign(np.sign(np.diff(times)).sum()))


def _late(steps: NDArray[np.int64], reached: int | None) -> Mask:
    """Tell which times don't come after all before them.

    One wrong time far ahead must not condemn all that follow: a row is itself late when the next row falls back
    to just after the one before it; and when most rows of a chunk lie behind `reached`, then that was wrong.
    """
    ahead = np.zeros(len(steps), dtype=bool)
    if len(steps) > 2:
        ahead[1:-1] = (steps[1:-1] > steps[2:]) & (steps[2:] > steps[:-2])
    kept = np.where(ahead, np.iinfo(np.int64).min, steps)
    highest = np.maximum.accumulate(kept) if len(kept) else kept
    before = np.concatenate([[np.iinfo(np.int64).min], highest[:-1]])[: len(steps)]
    if reached is not None and (len(steps) <= 2 or (steps <= reached).mean() <= 0.5):
        before = np.maximum(before, reached)
    return ahead | (steps <= before)


def _chosen(
    good: NDArray[np.int64],
    seconds: NDArray[np.int64],
    floats: dict[str, NDArray[np.float64]],
    exact: dict[str, pa.Array],
    bad: list[tuple[int, str]],
) -> Checked:
    """Return the rows at `good`; copying nothing when that is all of them in their order."""
    if len(good) == len(seconds) and (len(good) < 2 or good[0] < good[-1]):
        return Checked(seconds, floats, exact, bad)
    places = pa.array(good)
    return Checked(
        seconds[good],
        {name: values[good] for name, values in floats.items()},
        {name: values.take(places) for name, values in exact.items()},
        bad,
    )
