"""Real candles from a public exchange, polled after each close: network in a thread, database outside of it."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from market.bars import bar_start
from market.feeds.base import Tick, Window
from market.feeds.ccxt_client import Row, Venue
from market.feeds.isolating import MAKE, READ, each_instrument, work_of
from market.feeds.settings import require_usable
from market.models import TOO_LARGE, TOO_LARGE_VOLUME, Candle, Feed, Gap, Instrument, MarketKind
from market.services import NewCandle, NewQuote, require_one_market

logger = logging.getLogger(__name__)
BACKFILL = 1_000  # candles: what an instrument without any begins with
POLL_EVERY = 15.0  # seconds between prices of the forming bar
AFTER_CLOSE = 2.0  # seconds that venues take to publish a closed bar
OVERLAP = 2  # candles fetched again, to notice revisions
REFILL_DAYS = 30  # older gaps are left alone
REFILLS_AT_ONCE = 5
REFILL_EVERY = 900.0
SMALLEST = Decimal("1e-10")  # of a price: less is stored as 0
LOOK_AGAIN = 0.2  # seconds between looks at a running fetch


class Job(NamedTuple):
    """What to fetch: candles of an instrument from `since` on, up to `until` where that is a gap's end.

    `last` is the newest candle that is stored already.
    """

    instrument: Instrument
    market: str
    since: datetime
    until: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class Answer:
    """What a venue answered: rows oldest first, and whether it had no more to give; or why it gave none."""

    job: Job
    rows: list[Row]
    complete: bool
    problem: str = ""


@dataclass(frozen=True)
class Parsed:
    """An answer's candles, oldest first: all of them, and those that are closed."""

    answer: Answer
    candles: list[NewCandle]
    closed: list[NewCandle]

    @property
    def instrument_id(self) -> int:
        """The instrument that was fetched."""
        return self.answer.job.instrument.id

    @property
    def is_current(self) -> bool:
        """True if it has the price of now: a gap's refill has not, nor has an answer without candles."""
        return self.answer.job.until is None and bool(self.candles)

    @property
    def has_news(self) -> bool:
        """True if it closes with a candle that is newer than all that are stored."""
        last = self.answer.job.last
        return bool(self.closed) and (last is None or self.closed[-1].open_time > last)

    def is_behind(self, newest: datetime) -> bool:
        """Return whether the bar that opened at `newest`, the last to close, is not among them yet."""
        return not self.closed or self.closed[-1].open_time < newest


@dataclass(frozen=True)
class Fetched:
    """Everything that one round brought. `server_time` is the venue's, in seconds since 1970."""

    answers: list[Answer]
    server_time: float

    @property
    def problems(self) -> list[str]:
        """What went wrong, a sentence for each job."""
        return [answer.problem for answer in self.answers if answer.problem]

    def of(self, *, refills: bool) -> list[Answer]:
        """Return the answers to jobs that fill gaps, or those to all others: one of each instrument."""
        return [answer for answer in self.answers if (answer.job.until is not None) == refills]


class LiveDriver:
    """Settings: `exchange` (binance), `symbols` ({"BTCUSDT": "BTC/USDT"}), `poll`, `delay`, `backfill`, `url`.

    The bar that is still forming is never stored: its price is the quote. After an outage the missing bars are
    fetched page by page; what the venue itself does not have becomes a gap of the exchange.
    """

    def __init__(self, feed: Feed, wake: Callable[[], None], venue: Venue | None = None) -> None:
        require_usable(feed)
        self.settings = feed.settings
        self.poll = float(self.settings.get("poll", POLL_EVERY))
        self.delay = float(self.settings.get("delay", AFTER_CLOSE))
        self.backfill = int(self.settings.get("backfill", BACKFILL))
        self.venue = venue or Venue(str(self.settings.get("exchange", "binance")), self.settings.get("url", ""))
        self.wake = wake
        self.pool = ThreadPoolExecutor(1, thread_name_prefix=f"live-{feed.name}")
        self.future: Future[Fetched] | None = None
        self.checked: set[int] = set()
        self.problem = ""  # of instruments that could not even be asked for
        self.refilled_at = float("-inf")

    def close(self) -> None:
        """Let a running fetch end by itself; its answer is not used."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def step(self, feed: Feed, instruments: Sequence[Instrument], now: float) -> Tick:
        """Start a fetch, or return what the last one brought."""
        if self.future is None:
            self._start(feed, instruments, now)
            return Tick(due=now + LOOK_AGAIN)
        if not self.future.done():
            return Tick(due=now + LOOK_AGAIN)
        future, self.future = self.future, None
        return self._tick(feed, future.result(), now)

    def _start(self, feed: Feed, instruments: Sequence[Instrument], now: float) -> None:
        work = work_of(MAKE, feed)
        jobs, self.problem = each_instrument(
            work, instruments, lambda one: self._job(feed, one, now), lambda one: one
        )
        if now - self.refilled_at >= REFILL_EVERY:
            self.refilled_at = now
            jobs = jobs + self._refills(feed, jobs, now)
        self.future = self.pool.submit(fetch, self.venue, jobs, feed.timeframe)
        self.future.add_done_callback(lambda _: self.wake())

    def _job(self, feed: Feed, instrument: Instrument, now: float) -> Job:
        """Ask from the last bars we have on, or for a history if we have none."""
        if instrument.id not in self.checked:
            require_one_market(instrument_ids=[instrument.id], timeframe=feed.timeframe, kind=MarketKind.LIVE)
            self.checked.add(instrument.id)
        size = timedelta(seconds=feed.timeframe)
        series = Candle.objects.filter(instrument=instrument, timeframe=feed.timeframe)
        last = series.order_by("-open_time").values_list("open_time", flat=True).first()
        forming = bar_start(_time(now), feed.timeframe)
        since = last - OVERLAP * size if last else forming - self.backfill * size
        return Job(instrument, self._market(instrument), since, last=last)

    def _refills(self, feed: Feed, jobs: Sequence[Job], now: float) -> list[Job]:
        asked = {job.instrument.id: job for job in jobs}
        gaps = Gap.objects.filter(
            instrument_id__in=asked,
            timeframe=feed.timeframe,
            state=Gap.State.OPEN,
            first_missing__gte=_time(now) - timedelta(days=REFILL_DAYS),
        )
        size = timedelta(seconds=feed.timeframe)
        return [
            asked[gap.instrument_id]._replace(since=gap.first_missing - size, until=gap.next_present, last=None)
            for gap in gaps.order_by("-first_missing")[:REFILLS_AT_ONCE]
        ]

    def _market(self, instrument: Instrument) -> str:
        """Return the venue's name of an instrument, "BTC/USDT"."""
        named = self.settings.get("symbols", {}).get(instrument.symbol)
        if named:
            return str(named)
        if not instrument.base or not instrument.quote:
            raise ValueError(f"name the market of {instrument.symbol} in the feed's settings, under symbols")
        return f"{instrument.base}/{instrument.quote}"

    def _tick(self, feed: Feed, fetched: Fetched, now: float) -> Tick:
        if len(fetched.problems) == len(fetched.answers):
            raise OSError("; ".join(fetched.problems) or "the venue answered nothing")
        forming = bar_start(_time(fetched.server_time), feed.timeframe)
        work, asked = work_of(READ, feed), fetched.of(refills=False)
        read, _ = each_instrument(
            work, asked, lambda answer: _parse(answer, forming), lambda answer: answer.job.instrument
        )
        parsed = read + [_parse(answer, forming) for answer in fetched.of(refills=True) if not answer.problem]
        current = [part for part in parsed if part.is_current]
        closed = {part.instrument_id: part.closed[-1].open_time for part in current if part.has_news}
        behind = any(part.is_behind(forming - timedelta(seconds=feed.timeframe)) for part in current)
        return Tick(
            due=self._due(feed, behind, now), candles=_each_once(parsed), quotes=_quotes(current, _time(now)),
            closed=closed, windows=_windows(parsed), clock=forming if closed else None, revise=True,
            problem="; ".join(filter(None, [self.problem, *fetched.problems])),
        )  # fmt: skip

    def _due(self, feed: Feed, behind: bool, now: float) -> float:
        """Return when to ask again: just after the next close, sooner for the forming bar's price.

        Sooner still for a little while when the bar that has just closed was not published yet.
        """
        close = bar_start(_time(now), feed.timeframe).timestamp() + feed.timeframe
        if behind and now - (close - feed.timeframe) < self.poll:
            return now + 1
        return min(close + self.delay, now + self.poll)


def fetch(venue: Venue, jobs: Sequence[Job], timeframe: int) -> Fetched:
    """Ask the venue for every job; one that fails costs only itself. Runs without the database."""
    server_time = venue.server_time()
    answers = []
    for job in jobs:
        try:
            until = job.until.timestamp() if job.until else server_time
            rows, complete = venue.candles(job.market, timeframe, int(job.since.timestamp()), int(until))
        except Exception as error:
            problem = f"{job.market}: {type(error).__name__}: {str(error)[:200]}"
            answers.append(Answer(job, [], False, problem))
        else:
            answers.append(Answer(job, rows, complete))
    return Fetched(answers, server_time)


def _parse(answer: Answer, forming: datetime) -> Parsed:
    """Return the candles of `answer`; those that opened before the bar `forming` are closed.

    Raises OSError when the venue answered nothing that can be read.
    """
    if answer.problem:
        raise OSError(answer.problem)
    candles = [candle for row in answer.rows if (candle := _candle(answer.job.instrument.id, row))]
    return Parsed(answer, candles, [candle for candle in candles if candle.open_time < forming])


def _each_once(parsed: Sequence[Parsed]) -> list[NewCandle]:
    """Return the closed candles; of one that several answers have, the last answer's: a refill overlaps."""
    candles = [candle for part in parsed for candle in part.closed]
    return list({(candle.instrument_id, candle.open_time): candle for candle in candles}.values())


def _quotes(current: Sequence[Parsed], now: datetime) -> list[NewQuote]:
    return [NewQuote(part.instrument_id, part.candles[-1].close, now) for part in current]


def _windows(parsed: Sequence[Parsed]) -> list[Window]:
    return [_window(part.answer, part.closed) for part in parsed if part.closed]


def _candle(instrument_id: int, row: Row) -> NewCandle | None:
    """Return a row as a candle, or None (logged) if it is none: venues do send such rows."""
    try:
        opened_at = _time(int(row[0]) / 1000)
        values = [Decimal(str(value)) for value in row[1:6]]
    except (ArithmeticError, TypeError, ValueError, OSError):
        values = []
    # NaN compares unequal to all and would raise on ordering.
    if len(values) != 5 or not all(value.is_finite() for value in values) or not _is_candle(*values):
        logger.warning("a venue's row is no candle: %s", row)
        return None
    return NewCandle(instrument_id, opened_at, *values)


def _is_candle(opened: Decimal, high: Decimal, low: Decimal, close: Decimal, volume: Decimal) -> bool:
    """Return whether the table of candles can hold these values: one that it can't would fail its instrument."""
    possible = SMALLEST <= low <= min(opened, close) and max(opened, close) <= high < TOO_LARGE
    return possible and 0 <= volume < TOO_LARGE_VOLUME


def _window(answer: Answer, whole: Sequence[NewCandle]) -> Window:
    """Return the stretch in which a hole is now known: the venue's own, if it gave all it has."""
    state = Gap.State.EXCHANGE if answer.complete else Gap.State.OPEN
    return Window(answer.job.instrument.id, min(answer.job.since, whole[0].open_time), whole[-1].open_time, state)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
