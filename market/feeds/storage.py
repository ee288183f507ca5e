"""One step of a feed into the database: all its instruments in one transaction, then the announcements."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from algotrendy.events import announce
from market.feeds.base import Tick
from market.gaps import reconcile_gaps
from market.models import Candle, Feed, Instrument
from market.services import announce_feed, set_quotes, store_candles
from market.signals import candle_closed, price_moved


@transaction.atomic
def write_tick(feed: Feed, tick: Tick, seen: dict[str, object]) -> Feed | None:
    """Write `tick` and return the feed as it is now; None, with nothing written, if it changed meanwhile.

    `seen` is what the driver knew of the feed. The row locks make a switch of markets wait for us or us for it,
    so that no price of an old market is written after the switch.
    """
    if tick.is_empty:
        return feed
    row = Feed.objects.select_for_update(no_key=True).filter(id=feed.id, enabled=True).first()
    if row is None or any(getattr(row, name) != value for name, value in seen.items()):
        return None
    ours = set(_lock_instruments(row))
    quotes = [quote for quote in tick.quotes if quote.instrument_id in ours]
    candles = [candle for candle in tick.candles if candle.instrument_id in ours]
    stored = store_candles(candles=candles, timeframe=row.timeframe, kind=row.kind, revise=tick.revise)
    set_quotes(quotes=quotes, timeframe=row.timeframe, kind=row.kind)
    for window in tick.windows:
        reconcile_gaps(timeframe=row.timeframe, **window._asdict())
    closed = {instrument: at for instrument, at in tick.closed.items() if instrument in ours}
    _update_feed(row, tick, fresh=bool(closed) or bool(stored.inserted))
    _announce(closed, {quote.instrument_id for quote in quotes}, row.timeframe)
    return row


def _lock_instruments(feed: Feed) -> Sequence[int]:
    rows = Instrument.objects.select_for_update(no_key=True).filter(feed=feed).order_by("id")
    return list(rows.values_list("id", flat=True))


def _update_feed(row: Feed, tick: Tick, fresh: bool) -> None:
    before = (row.state, row.last_error)
    now = timezone.now()
    row.heartbeat_at = now
    row.clock = tick.clock or row.clock
    row.last_error = tick.problem
    if fresh:
        row.last_candle_at = now
        row.state = Feed.State.RUNNING
    elif row.state != Feed.State.STALE:
        row.state = Feed.State.RUNNING
    if tick.progress is not None:
        row.progress = tick.progress
    if tick.ended:
        row.enabled, row.state = False, Feed.State.STOPPED
        row.progress = {**row.progress, "note": tick.ended}
    row.save(
        update_fields=["heartbeat_at", "clock", "last_error", "last_candle_at", "state", "progress", "enabled"]
    )
    if (row.state, row.last_error) != before:
        announce_feed(row.id)


def _announce(closed: dict[int, datetime], quoted: set[int], timeframe: int) -> None:
    """Announce the newest candle of each instrument, and of those that closed none that their price moved."""
    for instrument_id, open_time in closed.items():
        announce(candle_closed, Candle, instrument_id=instrument_id, timeframe=timeframe, open_time=open_time)
    for instrument_id in quoted - closed.keys():
        announce(price_moved, Candle, instrument_id=instrument_id)
