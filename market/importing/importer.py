"""One file into the candles table: read, check, copy, insert, record gaps. One transaction a file."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from django.db import transaction
from psycopg import Copy

from market.gaps import reconcile_gaps
from market.importing.checking import Checked, Checker
from market.importing.names import ImportProblem, Series, series_of
from market.importing.precision import infer_steps
from market.importing.reading import Source, opened
from market.importing.rejects import BadLines
from market.importing.storing import Staging, staging, to_csv
from market.models import Instrument, MarketKind
from market.services import MixedMarket, ensure_instrument, require_one_market

Progress = Callable[[int, int], None]  # done, of how many


@dataclass
class Imported:
    """What became of one file. `seconds` is wall time."""

    path: Path
    series: Series | None = None
    read: int = 0
    good: int = 0
    stored: int = 0
    gaps: int = 0
    refilled: int = 0
    seconds: float = 0.0
    problem: str = ""
    bad: BadLines = field(default_factory=BadLines)
    first: int = 0
    last: int = 0

    @property
    def already_there(self) -> int:
        """Good rows whose candle was stored before."""
        return self.good - self.stored


def import_file(
    path: Path,
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    progress: Progress = lambda done, size: None,
    now: float | None = None,
) -> Imported:
    """Store the candles of `path` as imported ones and return what became of it; `problem` says why not.

    Symbol and timeframe come from the file's name unless given. Rows that are no candles are collected in `bad`
    and don't keep the others out; candles that are there already stay as they are.
    """
    result = Imported(path, bad=BadLines(path))
    started = time.perf_counter()
    try:
        result.series = series_of(path, symbol, timeframe)
        with opened(path) as source, transaction.atomic():
            _store(source, result, result.series, now or time.time(), progress)
        if not result.good:
            result.problem = "no line of it is a candle" if result.read else "the file has no rows"
    except (ImportProblem, MixedMarket, ValueError) as problem:
        result.problem = str(problem)
        result.good = result.stored = 0  # the transaction took back what was copied
    finally:
        result.bad.close()
    result.seconds = time.perf_counter() - started
    return result


def _store(source: Source, result: Imported, series: Series, now: float, progress: Progress) -> None:
    sample: Checked | None = None
    checker = Checker(series.timeframe, now)
    with staging() as table:
        with table.copying() as stream:
            for chunk in source.chunks:
                rows = checker.check(chunk)
                sample = sample or (rows if len(rows.seconds) else None)
                _take(rows, result, stream)
                result.read += len(chunk.lines)
                progress(source.done(), source.size)
        result.read += len(source.torn)
        result.bad.add(source.torn)
        if sample:
            _insert(table, result, series, sample)
    progress(source.size, source.size)


def _take(rows: Checked, result: Imported, stream: Copy) -> None:
    result.bad.add(rows.bad)
    if not len(rows.seconds):
        return
    stream.write(to_csv(rows))
    first, last = int(rows.seconds[0]), int(rows.seconds[-1])
    result.first = min(result.first, first) if result.good else first
    result.last = max(result.last, last)
    result.good += len(rows.seconds)


def _insert(table: Staging, result: Imported, series: Series, sample: Checked) -> None:
    kind = MarketKind.IMPORTED
    known = Instrument.objects.filter(symbol=series.symbol).exists()
    instrument = ensure_instrument(series.symbol)
    require_one_market(instrument_ids=[instrument.id], timeframe=series.timeframe, kind=kind)
    if not known:
        _fit_steps(instrument, sample)
    result.stored = table.move(instrument.id, series.timeframe, kind)
    if result.stored:
        first, last = (datetime.fromtimestamp(at, UTC) for at in (result.first, result.last))
        holes = reconcile_gaps(
            instrument_id=instrument.id, timeframe=series.timeframe, first=first, last=last, beyond=True
        )
        result.gaps, result.refilled = holes


def _fit_steps(instrument: Instrument, sample: Checked) -> None:
    """Take the steps from the prices themselves: they show what the venue quotes in."""
    prices = np.concatenate([sample.floats[name] for name in ("open", "high", "low", "close")])
    instrument.tick_size = infer_steps(prices)
    instrument.step_size = infer_steps(sample.floats["volume"])
    instrument.save(update_fields=["tick_size", "step_size"])
