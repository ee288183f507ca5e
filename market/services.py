"""Writes of the market: instruments, candles, quotes, feeds."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from algotrendy.events import announce
from market.models import Candle, Feed, Instrument, MarketKind, Quote
from market.signals import feed_changed, feed_switching
from market.symbols import DEFAULT_STEPS, STEPS, normalise, split


class FeedBusy(Exception):
    """An instrument can't move to another market now; the message says why."""


class MixedMarket(Exception):
    """Real and simulated candles of one timeframe can't be kept in one series."""


class NewCandle(NamedTuple):
    """A closed candle that may not be stored yet. `open_time` is aware UTC."""

    instrument_id: int
    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class NewQuote(NamedTuple):
    """A price and the market time at which it was known."""

    instrument_id: int
    price: Decimal
    market_time: datetime


class Stored(NamedTuple):
    """How many candles were new, and how many replaced one that differed."""

    inserted: int
    revised: int


_INSERT = """
    INSERT INTO market_candle AS old (instrument_id, open_time, open, high, low, close, volume, timeframe, kind,
                                      revision)
    SELECT new.*, %s, %s, 0
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
                %s::numeric[]) AS new
    ON CONFLICT (instrument_id, timeframe, open_time)
"""
_REVISE = """DO UPDATE
    SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, kind = excluded.kind, revision = old.revision + 1
    WHERE (old.open, old.high, old.low, old.close, old.volume)
          IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)
"""
_SET_QUOTES = """
    INSERT INTO market_quote (instrument_id, price, market_time, timeframe, kind, received_at)
    SELECT new.*, %s, %s, %s FROM unnest(%s::bigint[], %s::numeric[], %s::timestamptz[]) AS new
    ON CONFLICT (instrument_id) DO UPDATE
    SET price = excluded.price, market_time = excluded.market_time, timeframe = excluded.timeframe,
        kind = excluded.kind, received_at = excluded.received_at
"""


def ensure_instrument(symbol: str) -> Instrument:
    """Return the instrument called `symbol`, made with sensible steps if missing. Raises ValueError."""
    name = normalise(symbol)
    base, quote = split(name)
    steps = STEPS.get(name, DEFAULT_STEPS)
    defaults = {"base": base, "quote": quote, "tick_size": steps.tick_size, "step_size": steps.step_size}
    return Instrument.objects.get_or_create(symbol=name, defaults=defaults)[0]


def store_candles(
    *, candles: Sequence[NewCandle], timeframe: int, kind: MarketKind, revise: bool = False
) -> Stored:
    """Store closed candles of one timeframe (seconds) and return how many were new or changed.

    A candle that is there already stays, or with `revise` is replaced when it differs, its revision counted up.
    With `revise` no candle may occur twice.
    """
    if not candles:
        return Stored(0, 0)
    query = f"{_INSERT}{_REVISE if revise else 'DO NOTHING'} RETURNING xmax = 0"
    with connection.cursor() as cursor:
        cursor.execute(query, [timeframe, kind.value, *map(list, zip(*candles, strict=True))])
        inserted = [row[0] for row in cursor.fetchall()]
    return Stored(sum(inserted), len(inserted) - sum(inserted))


def set_quotes(*, quotes: Sequence[NewQuote], timeframe: int, kind: MarketKind) -> None:
    """Set the last known prices of instruments that move in candles of `timeframe` seconds."""
    if not quotes:
        return
    columns = map(list, zip(*quotes, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(_SET_QUOTES, [timeframe, kind.value, timezone.now(), *columns])


@transaction.atomic
def assign_feed(
    *, feed: Feed | None, instruments: Iterable[Instrument], restart: bool = False
) -> list[Instrument]:
    """Let `feed` (None: nothing) price `instruments`, and return those that moved.

    The old market's price is forgotten: nothing must be decided or filled at it in the new one. With `restart`
    instruments that are with the feed already count as moving, because its market time jumps. Raises FeedBusy,
    with nothing changed, when another part of the desk forbids it.
    """
    ids = [instrument.id for instrument in instruments]
    # The lock keeps the feed process from quoting the old market once more (see feeds.runner).
    locked = list(Instrument.objects.select_for_update(no_key=True).filter(id__in=ids).order_by("id"))
    target = feed.id if feed else None
    moving = [instrument for instrument in locked if restart or instrument.feed_id != target]
    require_switchable(instruments=moving, feed=feed)
    _move(moving, target)
    return moving


def require_switchable(*, instruments: Iterable[Instrument], feed: Feed | None) -> None:
    """Raise FeedBusy if another part of the desk can't have the market time of `instruments` jump now."""
    for instrument in instruments:
        feed_switching.send(sender=Instrument, instrument_id=instrument.id, feed_id=feed.id if feed else None)


def _move(moving: Sequence[Instrument], target: int | None) -> None:
    ids = [instrument.id for instrument in moving]
    Quote.objects.filter(instrument_id__in=ids).delete()
    Instrument.objects.filter(id__in=ids).update(feed_id=target)
    for feed_id in {instrument.feed_id for instrument in moving} | {target}:
        if feed_id is not None:
            announce_feed(feed_id)
    for instrument in moving:
        instrument.feed_id = target


def announce_feed(feed_id: int) -> None:
    """Announce, after commit, that a feed changed."""
    announce(feed_changed, Feed, feed_id=feed_id)


def set_feed_enabled(*, feed: Feed, enabled: bool) -> None:
    """Switch a feed on or off; the feed process follows within a second."""
    state = {} if enabled else {"state": Feed.State.STOPPED}
    Feed.objects.filter(id=feed.id).update(enabled=enabled, last_error="", **state)
    announce_feed(feed.id)


def require_one_market(*, instrument_ids: Iterable[int], timeframe: int, kind: MarketKind) -> None:
    """Raise MixedMarket if storing candles of `kind` would mix simulated and real ones in one series."""
    others = Candle.objects.filter(instrument_id__in=list(instrument_ids), timeframe=timeframe)
    simulated = kind == MarketKind.SIMULATED
    others = others.exclude(kind=kind) if simulated else others.filter(kind=MarketKind.SIMULATED)
    other = others.select_related("instrument").first()
    if other:
        raise MixedMarket(
            f"{other.instrument.symbol} has {other.get_kind_display().lower()} candles of {timeframe} s: "
            f"{kind.label.lower()} ones can't be mixed with them, choose another timeframe"
        )
