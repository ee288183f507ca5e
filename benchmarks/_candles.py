"""Candles for measurements: given ones, else simulated ones."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from market.bars import Bars
from market.feeds.simulator import ASSETS, simulate
from market.importing.names import series_of
from mlmodels.pipeline.features import slice_bars

TIMEFRAME = 300
YEAR_ROWS = 87_840  # of each of four instruments: 351,360 together


def candles() -> tuple[dict[str, Bars], str]:
    """Return 5-minute candles by symbol, and whether they are given or simulated.

    Given are the parquet and csv files of ALGOTRENDY_CANDLES (paths, separated by colons; `ts` is the open time in
    milliseconds); of two files of one symbol the longer counts.
    """
    series: dict[str, Bars] = {}
    for path in (Path(text) for text in os.environ.get("ALGOTRENDY_CANDLES", "").split(":") if text):
        symbol, bars = series_of(path, None, None).symbol, _read(path)
        if len(bars) > len(series.get(symbol, ())):
            series[symbol] = bars
    if series:
        return series, "given candles"
    return simulate(list(ASSETS), seed=1, count=YEAR_ROWS, timeframe=TIMEFRAME), "simulated candles"


def _read(path: Path) -> Bars:
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    prices = (table[name].to_numpy(np.float64) for name in ("open", "high", "low", "close", "volume"))
    return Bars(table["ts"].to_numpy(np.int64) // 1000, *prices)


def repeated(bars: Bars, count: int) -> Bars:
    """Return `count` consecutive bars, made of `bars` over and over."""
    times = np.arange(count, dtype=np.int64) * TIMEFRAME
    columns = (np.resize(getattr(bars, name), count) for name in ("open", "high", "low", "close", "volume"))
    return Bars(times, *columns)


def last(series: dict[str, Bars], count: int) -> dict[str, Bars]:
    """Return the newest `count` bars of each symbol."""
    return {symbol: slice_bars(bars, slice(max(0, len(bars) - count), None)) for symbol, bars in series.items()}
