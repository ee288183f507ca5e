"""Imported candles shown again as if they happened now, `speed` times as fast."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db.models import Max, Min, QuerySet

from market.bars import bar_start
from market.feeds.base import Tick
from market.freshness import replay_speed
from market.models import Candle, Feed, Instrument, MarketKind
from market.services import FeedBusy, NewQuote, require_switchable

MOST_CANDLES = 50  # of an instrument in a second: a faster speed is not kept, and a stall is not made up for
LONGEST_WAIT = 3  # candles: a longer hole in the data is jumped over
Candles = QuerySet[Candle]
REAL = (MarketKind.IMPORTED, MarketKind.LIVE)


class ReplayDriver:
    """Settings: `speed` (300), `start` (ISO time), `loop` (false). `progress["at"]` is the market time reached.

    Stores no candles: they are there already. What was not yet reached is never shown, because quotes and the
    feed's clock carry market time, and candles are only asked for as of that.
    """

    def __init__(self, feed: Feed) -> None:
        wanted = replay_speed(feed.settings)
        self.speed = min(max(wanted, 0.001), float(MOST_CANDLES * feed.timeframe))
        # Market time reached, in seconds since 1970; 0 while nobody has said where to begin.
        self.at = _seconds(feed.progress.get("at") or feed.settings.get("start"))
        self.stepped: float | None = None
        self.due = 0.0

    def close(self) -> None:
        """Nothing is held."""

    def step(self, feed: Feed, instruments: Sequence[Instrument], now: float) -> Tick:
        """Return what closed while the market's clock went on."""
        series = _series(feed, instruments)
        if not self.at:
            self.at = _seconds(default_start(series, feed.timeframe))
        # A fresh start shows the price at which it begins; a resumed one goes on behind what was shown.
        before = self.at if "at" in feed.progress else self.at - feed.timeframe
        self.at += self._advance(now)
        self.stepped = now
        newest = _newest(series, _at(before), _at(self.at), feed.timeframe)
        if not newest:
            return self._nothing_closed(feed, instruments, series, now)
        grid = bar_start(_at(self.at), feed.timeframe)
        quotes = [NewQuote(row.instrument_id, row.close, _closes(row, feed.timeframe)) for row in newest]
        return Tick(
            due=self._wait(feed, now),
            quotes=quotes,
            closed={row.instrument_id: row.open_time for row in newest},
            clock=max(quote.market_time for quote in quotes),
            progress={**_kept(feed), "at": grid.isoformat()},
        )

    def _advance(self, now: float) -> float:
        """Return how many market seconds have passed; a stalled process shows the market standing still."""
        if self.stepped is None:
            return 0.0
        most = max(self.due - self.stepped, 0) + 1
        return min(max(now - self.stepped, 0), most) * self.speed

    def _wait(self, feed: Feed, now: float) -> float:
        """Return the wall time of the next close."""
        close = bar_start(_at(self.at), feed.timeframe).timestamp() + feed.timeframe
        self.due = now + max((close - self.at) / self.speed, 1 / MOST_CANDLES)
        return self.due

    def _nothing_closed(self, feed: Feed, instruments: Sequence[Instrument], series: Candles, now: float) -> Tick:
        known = _at(self.at - feed.timeframe)
        ahead = series.filter(open_time__gt=known).aggregate(first=Min("open_time"))["first"]
        if ahead is None:
            return self._at_the_end(feed, instruments, series, now)
        if ahead - known > timedelta(seconds=(LONGEST_WAIT + 1) * feed.timeframe):
            self.at = ahead.timestamp()
        return Tick(due=self._wait(feed, now))

    def _at_the_end(self, feed: Feed, instruments: Sequence[Instrument], series: Candles, now: float) -> Tick:
        if not feed.settings.get("loop"):
            clock = f"{feed.clock:%Y-%m-%d %H:%M} UTC" if feed.clock else "the end of the data"
            return Tick(due=now, ended=f"replay ended at {clock}")
        self.due = now + 1
        try:
            require_switchable(instruments=instruments, feed=feed)
        except FeedBusy as busy:
            return Tick(due=self.due, problem=f"waiting to start again: {busy}")
        start = feed.settings.get("start") or default_start(series, feed.timeframe)
        self.at = _seconds(start)
        return Tick(due=self.due)


def default_start(series: Candles, timeframe: int) -> datetime:
    """Return 30 days before the end of the shortest series, but a day after its beginning.

    That is long enough for hundreds of decisions and their outcomes (2.4 hours at 300×), and leaves the candles
    before it as the past that indicators need. Raises ValueError if there is nothing to replay.
    """
    spans = series.values("instrument_id").order_by().annotate(first=Min("open_time"), last=Max("open_time"))
    if not spans:
        raise ValueError(f"there are no imported candles of {timeframe} s to replay")
    begin, end = max(span["first"] for span in spans), min(span["last"] for span in spans)
    start: datetime = max(end - timedelta(days=30), min(begin + timedelta(days=1), end))
    return start


def _series(feed: Feed, instruments: Sequence[Instrument]) -> Candles:
    ids = [instrument.id for instrument in instruments]
    return Candle.objects.filter(instrument_id__in=ids, timeframe=feed.timeframe, kind__in=REAL)


def _newest(series: Candles, after: datetime, until: datetime, timeframe: int) -> list[Candle]:
    """Return each instrument's newest candle of those that closed after `after` and no later than `until`."""
    size = timedelta(seconds=timeframe)
    closed = series.filter(open_time__gt=after - size, open_time__lte=until - size)
    return list(closed.order_by("instrument_id", "-open_time").distinct("instrument_id"))


def _closes(candle: Candle, timeframe: int) -> datetime:
    return candle.open_time + timedelta(seconds=timeframe)


def _kept(feed: Feed) -> dict[str, object]:
    """Return what other parts keep in the feed's progress."""
    return {key: value for key, value in feed.progress.items() if key not in ("at", "note")}


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(at: datetime | str | None) -> float:
    if not at:
        return 0.0
    return (datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp()
