"""Removing old candles of simulated markets, a few hours at a time, and never what somebody still needs.

Nobody's opinion counts but that of those who hold something: apps above say from which open time on they need all
candles (`candles_needed`), and which stretches of older ones their pages show (`candles_shown`). What is removed
leaves a Gap, so that no chart draws a line over it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from algotrendy.retention import nightly
from algotrendy.retention.models import Removal
from algotrendy.retention.nightly import Progress
from market import gaps
from market.bars import UNITS, bar_start
from market.models import Candle, Gap, MarketKind
from market.selectors import candles_between
from market.series import Series, known_series
from market.signals import candles_needed, candles_shown

KIND = "candles of simulated markets"
STRETCH = timedelta(hours=6)

_DELETE = """
    DELETE FROM market_candle
    WHERE instrument_id = %s AND timeframe = %s AND open_time >= %s AND open_time < %s AND kind = %s
      AND NOT EXISTS (
          SELECT FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS kept (first, last)
          WHERE open_time >= kept.first AND open_time < kept.last
      )
"""


class Span(NamedTuple):
    """A stretch of open times, the last one not included."""

    start: datetime
    end: datetime


def remove_next(progress: Progress) -> int | None:
    """Remove one stretch of old candles; return how many went, None when no old ones are left."""
    cutoff = nightly.before(settings.KEEP_SIMULATED_CANDLES)
    if cutoff is None:
        return None
    cutoff = bar_start(cutoff, UNITS["d"])  # whole days: a night's work must come to its end while time goes on
    for series in known_series():
        if series.kind != MarketKind.SIMULATED:
            continue
        span = _next_span(series, progress, _kept_from(series, cutoff))
        if span is not None:
            progress[_key(series)] = span.end.isoformat()
            return _remove(series, span)
    return None


def _key(series: Series) -> str:
    return f"{series.instrument_id} {series.timeframe}"


def _kept_from(series: Series, cutoff: datetime) -> datetime:
    """Return the open time from which on everything is kept."""
    answers = candles_needed.send(sender=Candle, instrument_id=series.instrument_id, timeframe=series.timeframe)
    return min([cutoff, series.last, *(needed for _, needed in answers if needed is not None)])


def _next_span(series: Series, progress: Progress, kept_from: datetime) -> Span | None:
    start = series.first
    if reached := progress.get(_key(series)):
        start = max(start, datetime.fromisoformat(reached))
    return Span(start, min(start + STRETCH, kept_from)) if start < kept_from else None


def _remove(series: Series, span: Span) -> int:
    answers = candles_shown.send(
        sender=Candle, instrument_id=series.instrument_id, timeframe=series.timeframe, **span._asdict()
    )
    shown = merged(Span(*pair) for _, pairs in answers for pair in pairs)
    with connection.cursor() as cursor:
        kept = ([one.start for one in shown], [one.end for one in shown])
        cursor.execute(_DELETE, [series.instrument_id, series.timeframe, *span, MarketKind.SIMULATED.value, *kept])
        removed = cursor.rowcount
    if removed:
        _note(series, span)
    return removed


def merged(spans: Iterable[Span]) -> Sequence[Span]:
    """Return spans in their order, those that touch made one."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _note(series: Series, span: Span) -> None:
    """Write down the holes: older gaps inside them are no longer anybody's."""
    rows = Gap.objects.filter(instrument=series.instrument_id, timeframe=series.timeframe)
    rows.filter(first_missing__gte=span.start, next_present__lte=span.end).delete()
    gaps.reconcile_gaps(
        instrument_id=series.instrument_id, timeframe=series.timeframe, first=span.start, last=span.end,
        state=Gap.State.REMOVED, beyond=True,
    )  # fmt: skip


def removed_at(instrument_id: int, timeframe: int, at: datetime) -> bool:
    """Return whether the candles around open time `at` were removed: a page says so instead of showing nothing."""
    row = Removal.objects.filter(name=KIND).first()
    reached = row.progress.get(f"{instrument_id} {timeframe}") if row else None
    if reached is None or at >= datetime.fromisoformat(reached):
        return False
    bar = timedelta(seconds=timeframe)
    return not candles_between(instrument_id, timeframe, at - bar, at + bar)
