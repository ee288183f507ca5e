"""Small data sets written by hand: for figures that are worked out beside the code."""

from typing import Any

import numpy as np

from market.bars import Bars
from mlmodels.pipeline.dataset import Dataset

FIVE = 300
DAY = 288


def rows(**columns: Any) -> Dataset:
    """Return rows of one instrument, one bar after another; by default six candidates, two of them reversals."""
    count = len(next(iter(columns.values()))) if columns else 6
    values = {
        "time": np.arange(count),
        "instrument": np.zeros(count, np.int16),
        "features": np.arange(count * 2, dtype=float).reshape(count, 2),
        "reversal": np.array(([1, 0, 0] * count)[:count], np.int8),
        "side": np.ones(count, np.int8),
        "excess": np.linspace(1, 2, count),
    } | {name: np.asarray(column) for name, column in columns.items()}
    return Dataset(("A",), FIVE, **values)


def bars(close: Any, start: int = 0) -> Bars:
    """Return candles of five minutes that stand still within each, from bar `start` of the clock on."""
    prices = np.asarray(close, float)
    return Bars((np.arange(len(prices)) + start) * FIVE, prices, prices, prices, prices, np.ones(len(prices)))
