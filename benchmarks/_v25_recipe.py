"""AlgoTrendy 2.5's training recipe as it was, pandas and a loop: oracle of tests, floor of measurements."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from market.bars import Bars

WINDOW, THRESHOLD = 5, 0.02
#: Its GradientBoosting's parameters are `mlmodels.pipeline.estimators.INVENTORY`.
SEED = 42


def frame(bars: Bars) -> pd.DataFrame:
    """Return the candles as 2.5 read them."""
    names = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({name: getattr(bars, name) for name in names})


def features(df: pd.DataFrame) -> pd.DataFrame:
    """Return the twelve features of retrain_model.py, in its order."""
    out = pd.DataFrame(index=df.index)
    for period in (5, 20, 50):
        out[f"sma_{period}"] = df["close"].rolling(period).mean()
    delta = df["close"].diff()
    gain = delta.where(delta > 0, 0.0).rolling(14).mean()
    loss = (-delta.where(delta < 0, 0.0)).rolling(14).mean()
    out["rsi"] = 100 - 100 / (1 + gain / loss)
    out["macd"] = df["close"].ewm(span=12).mean() - df["close"].ewm(span=26).mean()
    out["macd_signal"] = out["macd"].ewm(span=9).mean()
    out["macd_hist"] = out["macd"] - out["macd_signal"]
    middle, spread = df["close"].rolling(20).mean(), df["close"].rolling(20).std()
    lower, upper = middle - 2 * spread, middle + 2 * spread
    out["bb_position"] = (df["close"] - lower) / (upper - lower)
    out["volume_ratio"] = df["volume"] / df["volume"].rolling(20).mean()
    out["hl_range"] = df["high"] - df["low"]
    out["close_position"] = (df["close"] - df["low"]) / (df["high"] - df["low"])
    out["oc_range"] = (df["close"] - df["open"]).abs() / (df["high"] - df["low"])
    return out


def reversals(df: pd.DataFrame, threshold: float = THRESHOLD, window: int = WINDOW) -> NDArray[np.int8]:
    """Return 1 where a close is a peak or a trough by `threshold`, else 0; row by row like `detect_reversals`."""
    close, labels = df["close"], np.zeros(len(df), np.int8)
    for i in range(window, len(df) - window):
        before, after = close.iloc[i - window : i], close.iloc[i + 1 : i + window + 1]
        labels[i] = _reversal(close.iloc[i], before, after, threshold)
    return labels


def reversals_of_array(close: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the same by the same loop, for a reader who would have taken the closes out of the frame first."""
    labels = np.zeros(len(close), np.int8)
    for i in range(WINDOW, len(close) - WINDOW):
        labels[i] = _reversal(close[i], close[i - WINDOW : i], close[i + 1 : i + WINDOW + 1], THRESHOLD)
    return labels


def _reversal(price: float, before: Collection[float], after: Collection[float], threshold: float) -> bool:
    peak = price > min(before) * (1 + threshold) and price > min(after) * (1 + threshold)
    trough = price < max(before) * (1 - threshold) and price < max(after) * (1 - threshold)
    return bool(peak or trough)
