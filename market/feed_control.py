"""Starting and stopping a replay, and switching to a live market: which instruments move, and from where on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from market.feeds.replay import REAL, default_start
from market.models import Candle, Feed, Instrument
from market.selectors import resolve_symbol
from market.services import announce_feed, assign_feed, ensure_instrument, set_feed_enabled

REPLAY_FEED = "replay"


class ReplayRuns(Exception):
    """A replay is under way that would be ended; the message says which, and how to end it."""


class NothingToReplay(Exception):
    """There are no candles for what was wanted; the message says what is missing."""


@dataclass(frozen=True)
class Started:
    """A replay as it was set up. Times are market time, aware UTC."""

    feed: Feed
    instruments: list[Instrument]
    start: datetime
    end: datetime


@transaction.atomic
def start_replay(
    *,
    symbols: Sequence[str] = (),
    speed: float | None = None,
    start: datetime | None = None,
    loop: bool = False,
    timeframe: int = 300,
    replace: bool = False,
) -> Started:
    """Let the replay feed price `symbols` (all with real candles if none), from `start` on.

    `speed` None keeps the feed's. `replace` ends a replay that is under way. Raises ReplayRuns without it,
    NothingToReplay, or FeedBusy if an instrument can't move now.
    """
    instruments = _instruments(symbols, timeframe)
    series = Candle.objects.filter(instrument__in=instruments, timeframe=timeframe, kind__in=REAL)
    end = series.aggregate(last=Max("open_time"))["last"]
    begin = start or default_start(series, timeframe)
    if begin > end:
        raise NothingToReplay(f"the last candle is of {end:%Y-%m-%d %H:%M} UTC: start before it")
    feed, _ = Feed.objects.select_for_update().get_or_create(
        name=REPLAY_FEED, defaults={"driver": Feed.Driver.REPLAY, "enabled": False}
    )
    if feed.enabled and not replace:
        raise ReplayRuns(_under_way(feed))
    before = {**feed.progress.get("before", {}), **_feeds_of(instruments, feed)}
    _switch_on(feed, speed, begin, loop, timeframe, before)
    # Those of an earlier replay that are not part of this one return to their feeds.
    _give_back([other for other in feed.instruments.all() if other not in instruments], before)
    assign_feed(feed=feed, instruments=instruments, restart=True)
    return Started(feed, instruments, begin, end)


def _under_way(feed: Feed) -> str:
    symbols = ", ".join(feed.instruments.order_by("symbol").values_list("symbol", flat=True)) or "nothing"
    at = f" at {feed.clock:%Y-%m-%d %H:%M} UTC" if feed.clock else ""
    return f"a replay of {symbols} is under way{at}: --stop ends it, --replace ends it and begins the new one"


def _switch_on(
    feed: Feed, speed: float | None, begin: datetime, loop: bool, timeframe: int, before: dict[str, int | None]
) -> None:
    settings = {**feed.settings, "start": begin.isoformat(), "loop": loop}
    feed.settings = settings | ({"speed": speed} if speed else {})
    feed.enabled, feed.timeframe, feed.last_error = True, timeframe, ""
    feed.state, feed.clock, feed.last_candle_at = Feed.State.STOPPED, begin, None
    feed.progress = {"before": before}
    feed.save()


@transaction.atomic
def stop_replay() -> list[Instrument]:
    """Switch the replay off and return the instruments to the feeds they came from. Raises FeedBusy."""
    feed = Feed.objects.select_for_update().filter(name=REPLAY_FEED).first()
    if feed is None:
        return []
    moved = _give_back(list(feed.instruments.all()), feed.progress.get("before", {}))
    feed.enabled, feed.state, feed.progress = False, Feed.State.STOPPED, {"note": "replay stopped"}
    feed.save(update_fields=["enabled", "state", "progress"])
    announce_feed(feed.id)
    return moved


@transaction.atomic
def go_live(*, symbols: Sequence[str], exchange: str, timeframe: int) -> tuple[Feed, list[Instrument]]:
    """Let a live feed of `exchange` price `symbols`; it is made if there is none. Raises FeedBusy."""
    instruments = [resolve_symbol(symbol) or ensure_instrument(symbol) for symbol in symbols]
    name = f"live-{exchange}-{timeframe}"
    defaults = {"driver": Feed.Driver.LIVE, "timeframe": timeframe, "settings": {"exchange": exchange}}
    feed, _ = Feed.objects.get_or_create(name=name, defaults=defaults)
    set_feed_enabled(feed=feed, enabled=True)
    feed.enabled = True
    return feed, assign_feed(feed=feed, instruments=instruments)


def _instruments(symbols: Sequence[str], timeframe: int) -> list[Instrument]:
    real = Candle.objects.filter(timeframe=timeframe, kind__in=REAL)
    if not symbols:
        every = Instrument.objects.all()
        replayable = [instrument for instrument in every if real.filter(instrument=instrument).exists()]
        if not replayable:
            raise NothingToReplay(
                f"there are no imported candles of {timeframe} s: run ./mem import_candles first"
            )
        return replayable
    instruments = []
    for symbol in symbols:
        instrument = resolve_symbol(symbol)
        if instrument is None or not real.filter(instrument=instrument).exists():
            raise NothingToReplay(f"there are no imported candles of {timeframe} s of {symbol}")
        instruments.append(instrument)
    return instruments


def _feeds_of(instruments: Sequence[Instrument], feed: Feed) -> dict[str, int | None]:
    return {str(one.id): one.feed_id for one in instruments if one.feed_id != feed.id}


def _give_back(instruments: Sequence[Instrument], before: dict[str, int | None]) -> list[Instrument]:
    """Give instruments back to the feeds they came from, where those still exist."""
    feeds = Feed.objects.in_bulk([feed_id for feed_id in before.values() if feed_id])
    moved = []
    for instrument in instruments:
        moved += assign_feed(feed=feeds.get(before.get(str(instrument.id)) or 0), instruments=[instrument])
    return moved
