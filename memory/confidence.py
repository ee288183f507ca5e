"""Confidence as a shrunken win rate. Pure.

A hierarchical Beta-binomial: each level's win rate is pulled towards the level above with the weight of
`STRENGTH` cases, the first towards the rate of a market without edge. Gelman et al., Bayesian Data Analysis,
3rd ed., ch. 5 (with a fixed concentration instead of a fitted one).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scipy.special import betaincinv

from memory.evidence import STRENGTH

INTERVAL = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Level:
    """Resolved cases of one level, the wider levels including the narrower ones."""

    name: str
    wins: int
    cases: int


@dataclass(frozen=True, slots=True)
class Confidence:
    """A probability of a win with its 90 % credible interval, and the mean after each level."""

    mean: float
    low: float
    high: float
    steps: tuple[float, ...]


def no_edge_rate(stop_distance: float, target_distance: float) -> float:
    """Return how often a market without drift reaches the target before the stop.

    Gambler's ruin: stop / (stop + target), both distances in the same unit and positive. Time-outs make the true
    rate lower.
    """
    return stop_distance / (stop_distance + target_distance)


def break_even(stop_distance: float, target_distance: float, cost: float) -> float:
    """Return the win probability at which the expectation is zero: (L + c) / (G + L).

    Distances and the round-trip cost `cost` are fractions of the price. May exceed 1: then no confidence suffices.
    """
    return (stop_distance + cost) / (stop_distance + target_distance)


def shrunken(base: float, levels: Sequence[Level], strength: float = STRENGTH) -> Confidence:
    """Return the win rate of the last level, shrunk through all levels towards `base`.

    `base` is a probability; levels run from the widest to the narrowest. Raises ValueError for a base outside
    (0, 1).
    """
    if not 0 < base < 1:
        raise ValueError(f"base rate was {base}, not between 0 and 1")
    mean, wins, losses = base, strength * base, strength * (1 - base)
    steps = []
    for level in levels:
        wins = level.wins + strength * mean
        losses = level.cases - level.wins + strength * (1 - mean)
        mean = wins / (wins + losses)
        steps.append(mean)
    low, high = _quantiles(round(wins, 6), round(losses, 6))
    return Confidence(mean, low, high, tuple(steps))


@lru_cache(maxsize=4096)
def _quantiles(wins: float, losses: float) -> tuple[float, float]:
    low, high = betaincinv(wins, losses, INTERVAL)
    return float(low), float(high)
