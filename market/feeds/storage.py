"""One step of a feed into the database: all its instruments in one transaction, then the announcements."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.isolation.rows import together
from market.feeds.base import Tick, Window
from market.feeds.isolating import STORE, work_of
from market.gaps import reconcile_gaps
from market.models import Candle, Feed, Instrument
from market.services import NewCandle, NewQuote, announce_feed, set_quotes, store_candles
from market.signals import candle_closed, price_moved


class Part(NamedTuple):
    """What a tick brought of one instrument."""

    instrument: Instrument
    candles: list[NewCandle]
    quotes: list[NewQuote]
    windows: list[Window]


class Batch(NamedTuple):
    """Instruments (ids) that were stored together, and how many of their candles were new."""

    ids: list[int]
    inserted: int


@transaction.atomic
def write_tick(feed: Feed, tick: Tick, seen: dict[str, object]) -> Feed | None:
    """Write `tick` and return the feed as it is now; None, with nothing written, if it changed meanwhile.

    `seen` is what the driver knew of the feed. The row locks make a switch of markets wait for us or us for it,
    so that no price of an old market is written after the switch. An instrument that can't be stored is named on
    the page Health, and the others are stored.
    """
    if tick.is_empty:
        return feed
    row = Feed.objects.select_for_update(no_key=True).filter(id=feed.id, enabled=True).first()
    if row is None or any(getattr(row, name) != value for name, value in seen.items()):
        return None
    parts = _parts(tick, _lock_instruments(row))
    batches = together(work_of(STORE, row), parts, partial(_store, row, tick), key=lambda part: part.instrument)
    stored = {instrument_id for batch in batches for instrument_id in batch.ids}
    closed = {instrument: at for instrument, at in tick.closed.items() if instrument in stored}
    lost = [part.instrument for part in parts if part.instrument.id not in stored]
    _update_feed(row, tick, lost, fresh=bool(closed) or any(batch.inserted for batch in batches))
    _announce(closed, {quote.instrument_id for quote in tick.quotes} & stored, row.timeframe)
    return row


def _lock_instruments(feed: Feed) -> list[Instrument]:
    rows = Instrument.objects.select_for_update(no_key=True).filter(feed=feed).order_by("id")
    return list(rows.only("id", "symbol"))


def _parts(tick: Tick, instruments: Sequence[Instrument]) -> list[Part]:
    """Return what the tick brought of each instrument, in the order of their ids, where it brought anything."""
    parts = {one.id: Part(one, [], [], []) for one in instruments}
    for candle in tick.candles:
        if candle.instrument_id in parts:
            parts[candle.instrument_id].candles.append(candle)
    for quote in tick.quotes:
        if quote.instrument_id in parts:
            parts[quote.instrument_id].quotes.append(quote)
    for window in tick.windows:
        if window.instrument_id in parts:
            parts[window.instrument_id].windows.append(window)
    return [part for part in parts.values() if part.candles or part.quotes or part.windows]


def _store(feed: Feed, tick: Tick, parts: Sequence[Part]) -> list[Batch]:
    """Store all of `parts`, or raise and leave nothing."""
    candles = [candle for part in parts for candle in part.candles]
    quotes = [quote for part in parts for quote in part.quotes]
    stored = store_candles(candles=candles, timeframe=feed.timeframe, kind=feed.kind, revise=tick.revise)
    set_quotes(quotes=quotes, timeframe=feed.timeframe, kind=feed.kind)
    for part in parts:
        for window in part.windows:
            reconcile_gaps(timeframe=feed.timeframe, **window._asdict())
    return [Batch([part.instrument.id for part in parts], stored.inserted)]


def _update_feed(row: Feed, tick: Tick, lost: Sequence[Instrument], *, fresh: bool) -> None:
    before = (row.state, row.last_error)
    now = timezone.now()
    row.heartbeat_at = now
    row.clock = tick.clock or row.clock
    row.last_error = "; ".join(filter(None, [tick.problem, _not_stored(lost)]))
    if fresh:
        row.last_candle_at = now
        row.state = Feed.State.RUNNING
    elif row.state != Feed.State.STALE:
        row.state = Feed.State.RUNNING
    if tick.progress is not None:
        without = tick.progress_without if lost else None
        row.progress = without([one.id for one in lost]) if without else tick.progress
    if tick.ended:
        row.enabled, row.state = False, Feed.State.STOPPED
        row.progress = {**row.progress, "note": tick.ended}
    row.save(
        update_fields=["heartbeat_at", "clock", "last_error", "last_candle_at", "state", "progress", "enabled"]
    )
    if (row.state, row.last_error) != before:
        announce_feed(row.id)


def _not_stored(lost: Sequence[Instrument]) -> str:
    names = ", ".join(one.symbol for one in lost)
    return f"the page Health says why {names} could not be stored" if lost else ""


def _announce(closed: dict[int, datetime], quoted: set[int], timeframe: int) -> None:
    """Announce the newest candle of each instrument, and of those that closed none that their price moved."""
    for instrument_id, open_time in closed.items():
        announce(candle_closed, Candle, instrument_id=instrument_id, timeframe=timeframe, open_time=open_time)
    for instrument_id in quoted - closed.keys():
        announce(price_moved, Candle, instrument_id=instrument_id)
