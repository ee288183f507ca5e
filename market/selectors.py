"""Reads of the market: prices, candles, symbols, freshness."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils import timezone

from algotrendy.database import sql
from market.bars import Bars
from market.freshness import FeedFreshness, freshness, speed_of
from market.models import Candle, Feed, Instrument, MarketKind, Quote
from market.symbols import candidates

NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # before any candle
_LAST_CLOSED = """
    SELECT extract(epoch FROM open_time)::bigint, open::float8, high::float8, low::float8, close::float8,
           volume::float8
    FROM market_candle
    WHERE instrument_id = %s AND timeframe = %s AND open_time <= %s
    ORDER BY open_time DESC LIMIT %s
"""


def quote(instrument_id: int) -> Quote | None:
    """Return the last known price of an instrument; None before the first."""
    return sql.first(Quote, "WHERE instrument_id = %s", instrument_id)


def quote_of(instrument: Instrument) -> Quote | None:
    """Return the price that `instrument` was read with, or the last one, read now; None before the first."""
    known: Quote | None = getattr(instrument, "quote_now", None)
    return known


def closed_candles(instrument_id: int, timeframe: int, *, until: datetime, count: int) -> Bars:
    """Return the last `count` candles known at market time `until`, oldest first.

    A candle is known from its close on: `open_time + timeframe <= until`. `timeframe` is in seconds.
    """
    newest = until - timedelta(seconds=timeframe)
    with connection.cursor() as cursor:
        cursor.execute(_LAST_CLOSED, [instrument_id, timeframe, newest, count])
        rows = cursor.fetchall()
    return to_bars(reversed(rows))


def to_bars(rows: Iterable[tuple[float, ...]]) -> Bars:
    """Return `(seconds, open, high, low, close, volume)` rows as arrays."""
    table = list(rows)
    times = np.array([row[0] for row in table], dtype=np.int64)
    values = np.array([row[1:] for row in table], dtype=np.float64).reshape(len(table), 5)
    return Bars(times, *(np.ascontiguousarray(column) for column in values.T))


def candles_between(instrument_id: int, timeframe: int, start: datetime, end: datetime) -> list[Candle]:
    """Return candles with `start <= open_time < end`, oldest first. `timeframe` is in seconds."""
    rows = Candle.objects.filter(
        instrument_id=instrument_id, timeframe=timeframe, open_time__gte=start, open_time__lt=end
    )
    return list(rows.order_by("open_time"))


def market_now(instrument: Instrument) -> datetime:
    """Return the market time that an instrument has reached: nothing later may be shown on any page.

    Under replay the table holds candles that the market has not come to yet: there it is the replay's own clock.
    Other markets go with the wall's.
    """
    known = quote_of(instrument)
    if known is not None:
        replayed = known.kind == MarketKind.REPLAY
        return known.market_time if replayed else max(known.market_time, timezone.now())
    feed = instrument.feed
    if feed is not None and feed.enabled and feed.is_replay:
        return feed.clock or NEVER
    return timezone.now()


def past_candles(instrument: Instrument, timeframe: int, start: datetime, end: datetime) -> list[Candle]:
    """Return what `candles_between` does, less what had not closed at the market's own now: for pages."""
    first_unknown = market_now(instrument) - timedelta(seconds=timeframe - 1)
    return candles_between(instrument.pk, timeframe, start, min(end, first_unknown))


def resolve_symbol(text: str) -> Instrument | None:
    """Return the instrument that `text` means ("BINANCE:BTCUSDT", "BTC/USDT", "BTCUSDT.P"), with its quote.

    None if we don't have it.
    """
    names = candidates(text)
    rows = Instrument.objects.filter(symbol__in=names).select_related("quote_now")
    known = {instrument.symbol: instrument for instrument in rows}
    return next((known[name] for name in names if name in known), None)


def feeds_in_use() -> list[Feed]:
    """Return the feeds that should be giving prices, by name: those with instruments, switched on or not."""
    return list(Feed.objects.filter(Exists(Instrument.objects.filter(feed=OuterRef("pk")))).order_by("name"))


def feed_freshness() -> list[FeedFreshness]:
    """Return the freshness of each feed in use, by name."""
    now = timezone.now()
    return [freshness(feed, now) for feed in feeds_in_use()]


def market_kinds() -> set[MarketKind]:
    """Return how real the prices of the desk's instruments are: the kinds of enabled feeds that have any."""
    drivers = Instrument.objects.filter(feed__enabled=True).values_list("feed__driver", flat=True)
    return {Feed(driver=driver).kind for driver in drivers.distinct().order_by()}


def simulated_speed(timeframe: int) -> float:
    """Return how many seconds of movement a second of the simulated market in this timeframe brings."""
    from market.feeds.simulated import DEFAULT_SPEED

    feed = Feed.objects.filter(driver=Feed.Driver.SIMULATOR, timeframe=timeframe).order_by("id").first()
    return speed_of(feed.settings if feed else {}, DEFAULT_SPEED)
