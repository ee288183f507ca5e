"""Simulated markets whose truth is known: one without any signal, and one in which an effect begins. Pure."""

import math
from dataclasses import replace

import numpy as np

from market.bars import Bars
from market.feeds.simulator import simulate
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.features import Floats
from mlmodels.pipeline.labels import PROFILES, LabelRule

SYMBOLS = ("ALPHA", "BETA", "GAMMA", "DELTA")
TIMEFRAME, BARS_PER_DAY = 300, 288
#: A fixed threshold. One that is estimated from the last 288 moves is too wide or too narrow by chance, and where
#: the volatility is in truth constant that can be seen: reversals would honestly be a little predictable.
RULE: LabelRule = PROFILES["half-percent"]
#: The effect: as soon as a price is STRETCH standard deviations of a bar away from its mean of MEAN bars, each of
#: the next PULLED bars is pulled back by PULL standard deviations.
MEAN, STRETCH, PULLED, PULL = 20, 3.0, 5, 0.4


def recipe(base: Recipe, bars: int) -> Recipe:
    """Return `base` for these markets of `bars` 5-minute bars: the gate has two weeks of them."""
    history = -(-bars // BARS_PER_DAY)
    return replace(base, label=RULE, holdout_days=14, history_days=history, bars_per_day=float(BARS_PER_DAY))


def without_signal(seed: int, bars: int) -> dict[str, Bars]:
    """Return a market in which each bar's move is independent of everything before it, and so is its size."""
    return simulate(SYMBOLS, seed=seed, count=bars, timeframe=TIMEFRAME, regimes=False, clusters=False)


def with_effect(seed: int, bars: int, begins: int) -> dict[str, Bars]:
    """Return the same market, in which from bar `begins` on a stretched price is pulled back."""
    return {symbol: _pulled(series, begins) for symbol, series in without_signal(seed, bars).items()}


def _pulled(bars: Bars, begins: int) -> Bars:
    moves = np.diff(np.log(bars.close), prepend=math.log(bars.open[0]))
    close = bars.open[0] * np.exp(np.cumsum(_with_pull(moves, begins)))
    opened = np.concatenate([bars.open[:1], close[:-1]])
    above = bars.high / np.maximum(bars.open, bars.close)
    below = bars.low / np.minimum(bars.open, bars.close)
    high, low = np.maximum(opened, close) * above, np.minimum(opened, close) * below
    return Bars(bars.open_time, opened, high, low, close, bars.volume)


def _with_pull(moves: Floats, begins: int) -> Floats:
    """Return log-returns with the effect in them."""
    sigma, returns = float(moves.std()), moves.tolist()
    path, pull, left = [0.0] * MEAN, 0.0, 0
    for bar, move in enumerate(returns):
        if left:
            returns[bar] = move = move + pull
            left -= 1
        path.append(path[-1] + move)
        away = path[-1] - sum(path[-MEAN:]) / MEAN
        if not left and bar >= begins and abs(away) > STRETCH * sigma:
            pull, left = -math.copysign(PULL * sigma, away), PULLED
    return np.array(returns)
