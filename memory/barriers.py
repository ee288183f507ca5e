"""Stops, targets and how a decision ran against them. Pure: arrays and values only.

Triple barrier: López de Prado, Advances in Financial Machine Learning, ch. 3.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["long", "short"]
Result = Literal["win", "loss", "timeout"]
Array = npt.NDArray[np.float64]

LOOK_BACK = 96
MINIMUM_BARS = 20
HORIZON_BARS = 36
STOP_SIGMAS = 1.5
SIGMA_BARS = 12
REWARD = 1.5
FALLBACK_STOP = 0.01
SMALLEST_STOP = 0.001


@dataclass(frozen=True, slots=True)
class Barriers:
    """Stop and target around an entry, as prices and as fractions of it."""

    entry: Decimal
    stop: Decimal
    target: Decimal
    stop_fraction: float
    target_fraction: float


@dataclass(frozen=True, slots=True)
class Touch:
    """The first barrier reached: at which bar (index), with which result, at what price."""

    index: int
    result: Result
    price: float


def volatility(close: Array) -> float | None:
    """Return the sample standard deviation of the last 96 log-returns of one bar, or None below 20 bars."""
    if len(close) <= MINIMUM_BARS:
        return None
    returns = np.diff(np.log(close[-LOOK_BACK - 1 :]))
    return float(returns.std(ddof=1))


def stop_fraction(sigma: float | None) -> float:
    """Return the stop distance as a fraction of the price: 1.5 σ of twelve bars, 1 % while σ is unknown."""
    if sigma is None:
        return FALLBACK_STOP
    return max(STOP_SIGMAS * sigma * math.sqrt(SIGMA_BARS), SMALLEST_STOP)


def place(side: Side, entry: Decimal, sigma: float | None, tick: Decimal) -> Barriers:
    """Return stop and target for an entry at `entry`, rounded to `tick`, at least one tick away.

    The target is 1.5 times as far as the stop.
    """
    fraction = stop_fraction(sigma)
    distance = max(_to_tick(entry * Decimal(str(fraction)), tick), tick)
    reach = max(_to_tick(distance * Decimal(str(REWARD)), tick), tick)
    sign = 1 if side == "long" else -1
    stop = max(entry - sign * distance, tick)
    target = max(entry + sign * reach, tick)
    return Barriers(entry, stop, target, float(abs(entry - stop) / entry), float(abs(target - entry) / entry))


def first_touch(side: Side, high: Array, low: Array, stop: float, target: float) -> Touch | None:
    """Return the first bar that reaches stop or target, oldest bar first, or None.

    A bar that reaches both counts as the stop: their order within it is unknown. A gap is filled at the barrier.
    """
    stopped = low <= stop if side == "long" else high >= stop
    reached = high >= target if side == "long" else low <= target
    hits = np.flatnonzero(stopped | reached)
    if not len(hits):
        return None
    index = int(hits[0])
    return Touch(index, "loss", stop) if stopped[index] else Touch(index, "win", target)


def _to_tick(value: Decimal, tick: Decimal) -> Decimal:
    return (value / tick).quantize(Decimal(1), ROUND_HALF_UP) * tick
