"""Features of candles: one pure function for training, backfill and live. Arrays in, arrays out.

TA-Lib is the engine. Where 2.5's definition differs from TA-Lib's (RSI by simple means, Bollinger bands by the
sample's σ), 2.5's is computed from TA-Lib's parts. What depends on a window that crosses a gap is missing (NaN),
and so is everything before `look_back` bars of a gap-free stretch, so that a feature does not depend on how long
ago the history happens to begin (beyond a millionth of an exponential average's memory).
"""

import hashlib
import inspect
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from market.bars import Bars
from market.indicators import talib

DAY = 86_400  # seconds
# A long stretch is computed in pieces that fit the processor's cache, each with `look_back` bars before it.
BLOCK = 32_768
BLOCKS_WORTH_THREADS = 4
THREADS = min(os.cpu_count() or 1, 4)
Floats = NDArray[np.float64]
Compute = Callable[[Bars, Floats], None]


class BadCandles(ValueError):
    """Candles are not a series: out of order, twice the same, or not numbers. The text says which."""


@dataclass(frozen=True)
class Schema:
    """A versioned list of features and how they are computed.

    `look_back` is how many bars before a bar of the same stretch its features may depend on.
    """

    name: str
    features: tuple[str, ...]
    look_back: int
    compute: Compute
    text: str

    @cached_property
    def hash(self) -> str:
        """SHA-256 of names, order, look-back and the source of the definition: any change is another schema."""
        definition = {"name": self.name, "features": self.features, "look_back": self.look_back}
        source = inspect.getsource(self.compute)
        return hashlib.sha256((json.dumps(definition) + source).encode()).hexdigest()


def segments(open_time: NDArray[np.int64], timeframe: int) -> list[slice]:
    """Return the gap-free stretches of a series. `open_time` and `timeframe` are in seconds.

    Raises BadCandles where a candle is not later than the one before it.
    """
    if not len(open_time):
        return []
    steps = np.diff(open_time)
    if len(steps) and steps.min() <= 0:
        where = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise BadCandles(f"candle {where} (open time {int(open_time[where])}) is not later than the one before it")
    edges = [0, *(np.flatnonzero(steps != timeframe) + 1).tolist(), len(open_time)]
    return [slice(first, last) for first, last in pairwise(edges)]


def compute(schema: Schema, bars: Bars, timeframe: int) -> Floats:
    """Return the features of `bars` as (n, k) in Fortran order, NaN where they can't be known.

    `timeframe` is in seconds. Raises BadCandles for prices that are not finite and positive, or bars out of order.
    """
    check(bars)
    out = np.empty((len(bars), len(schema.features)), order="F")
    blocks: list[tuple[int, int]] = []
    for part in segments(bars.open_time, timeframe):
        known = part.start + schema.look_back
        out[part.start : min(known, part.stop)] = np.nan
        blocks += [(first, min(first + BLOCK, part.stop)) for first in range(known, part.stop, BLOCK)]

    def fill(block: tuple[int, int]) -> None:
        first, last = block
        rows = np.empty((last - first + schema.look_back, len(schema.features)), order="F")
        with np.errstate(divide="ignore", invalid="ignore"):
            schema.compute(slice_bars(bars, slice(first - schema.look_back, last)), rows)
        out[first:last] = rows[schema.look_back :]

    if len(blocks) < BLOCKS_WORTH_THREADS:
        for block in blocks:
            fill(block)
    else:
        with ThreadPoolExecutor(THREADS) as pool:  # TA-Lib and numpy let go of the interpreter
            list(pool.map(fill, blocks))
    return out


def slice_bars(bars: Bars, part: slice) -> Bars:
    """Return a stretch of `bars`, sharing their memory."""
    columns = (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars(*(column[part] for column in columns))  # type: ignore[arg-type]


def check(bars: Bars) -> None:
    """Raise BadCandles unless all prices are finite and positive and all volumes finite and not negative."""
    if not len(bars):
        return
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(bars, name)
        least = column.min()  # NaN if any is
        if not (least > 0 or (name == "volume" and least == 0)) or not math.isfinite(column.sum()):
            wanted = "finite and not negative" if name == "volume" else "finite and positive"
            raise BadCandles(f"{name} has numbers that are not {wanted}")


def _shares(up: Floats, down: Floats, out: Floats, nothing: float) -> None:
    """Write up / (up + down), and `nothing` where both are 0. `down` is lost."""
    np.add(up, down, out=down)
    _divide(up, down, out, nothing)


def _divide(part: Floats, whole: Floats, out: Floats, nothing: float) -> None:
    """Write part / whole, and `nothing` where `whole` is 0 (or, from running sums, a breath beside it)."""
    np.divide(part, whole, out=out)
    empty = whole <= 0
    if empty.any():
        out[empty] = nothing


def _rsi(close: Floats, period: int, out: Floats) -> None:
    """Write the RSI by simple means of the last `period` ups and downs (Cutler), between 0 and 1; 0.5 if flat."""
    moves = np.empty_like(close)
    moves[0] = 0.0
    np.subtract(close[1:], close[:-1], out=moves[1:])
    ups = talib.SMA(np.maximum(moves, 0.0), period)
    np.negative(moves, out=moves)
    np.maximum(moves, 0.0, out=moves)
    downs = talib.SMA(moves, period)
    # A flat stretch leaves crumbs of earlier moves in a running sum.
    np.maximum(ups, 0.0, out=ups)
    np.maximum(downs, 0.0, out=downs)
    _shares(ups, downs, out, 0.5)


def _v25(bars: Bars, out: Floats) -> None:
    """The inventory's twelve, by the definitions of retrain_model.py."""
    close = bars.close
    for column, period in enumerate((5, 20, 50)):
        out[:, column] = talib.SMA(close, period)
    _rsi(close, 14, out[:, 3])
    out[:, 3] *= 100.0
    np.subtract(talib.EMA(close, 12), talib.EMA(close, 26), out=out[:, 4])
    macd = out[:, 4]
    out[25:, 5] = talib.EMA(macd[25:], 9)
    np.subtract(macd, out[:, 5], out=out[:, 6])
    _bollinger(close, out[:, 1], out[:, 7])
    _divide(bars.volume, talib.SMA(bars.volume, 20), out[:, 8], 1.0)
    height = out[:, 9]
    np.subtract(bars.high, bars.low, out=height)
    np.subtract(close, bars.low, out=out[:, 10])
    _divide(out[:, 10], height, out[:, 10], 0.5)
    np.subtract(close, bars.open, out=out[:, 11])
    np.abs(out[:, 11], out=out[:, 11])
    _divide(out[:, 11], height, out[:, 11], 0.0)


def _bollinger(close: Floats, mean: Floats, out: Floats) -> None:
    """Write where the close stands between the bands of 20 bars and 2 σ (0: lower, 1: upper; 0.5 if flat)."""
    width = talib.STDDEV(close, 20)
    width *= 4 * np.sqrt(20 / 19)  # TA-Lib's σ is the population's
    np.subtract(close, mean, out=out)
    _divide(out, width, out, 0.0)
    out += 0.5


V25 = Schema(
    "v25",
    (
        "sma_5", "sma_20", "sma_50", "rsi", "macd", "macd_signal", "macd_hist", "bb_position", "volume_ratio",
        "hl_range", "close_position", "oc_range",
    ),
    250,
    _v25,
    "the twelve features of AlgoTrendy 2.5, in prices",
)  # fmt: skip


def _desk_1(bars: Bars, out: Floats) -> None:
    """Moves in units of the instrument's own volatility, so that symbols and years can be compared.

    While the price stands still for the whole look-back there is no such unit, and the features are missing.
    """
    close, high, low = bars.close, bars.high, bars.low
    sigma = _sigma(close, 288)
    unit = sigma * math.sqrt(5)
    _move(close, _before(talib.MIN(close, 5)), unit, out[:, 0])
    _move(_before(talib.MAX(close, 5)), close, unit, out[:, 1])
    _move(high, _before(talib.MIN(low, 5)), unit, out[:, 2])
    _move(_before(talib.MAX(high, 5)), low, unit, out[:, 3])
    _move(close, talib.SMA(close, 20), unit, out[:, 4])
    np.divide(talib.ATR(high, low, close, 12) / close, sigma, out=out[:, 5])
    out[:, 6] = sigma
    angle = (bars.open_time % DAY) * (2 * np.pi / DAY)
    np.sin(angle, out=out[:, 7])
    np.cos(angle, out=out[:, 8])


def _before(column: Floats) -> Floats:
    """Return each bar's value of the bar before it."""
    shifted = np.empty_like(column)
    shifted[0] = np.nan
    shifted[1:] = column[:-1]
    return shifted


def _sigma(close: Floats, period: int) -> Floats:
    """Return the standard deviation of the last `period` log-returns; NaN where the price stood still."""
    returns = np.zeros_like(close)
    np.log(close[1:] / close[:-1], out=returns[1:])
    spread = talib.STDDEV(returns, period)
    spread[spread <= 0] = np.nan
    return np.asarray(spread)


def _move(to: Floats, start: Floats, unit: Floats, out: Floats) -> None:
    """Write the log-return from `start` to `to` in units of `unit`."""
    np.divide(to, start, out=out)
    np.log(out, out=out)
    np.divide(out, unit, out=out)


DESK_1 = Schema(
    "desk-1",
    (
        "left_up", "left_down", "reach_up", "reach_down", "sma_20_distance", "atr_ratio", "volatility", "hour_sin",
        "hour_cos",
    ),
    300,
    _desk_1,
    "nine scale-free features: the moves that a reversal would turn, volatility, and the hour",
)  # fmt: skip
