"""The feed process: steps every enabled feed's driver when it is due, and outlives whatever fails.

All feeds share one thread and one database connection, which also holds the lock that keeps a second feed process
waiting: when the connection is lost, so is the right to write. What a driver needs from a network it fetches in a
thread of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from algotrendy.isolation.rows import describe, each
from algotrendy.locks import try_hold
from market.feeds.base import Driver, Tick
from market.feeds.isolating import forget_others
from market.feeds.replay import ReplayDriver
from market.feeds.simulated import SimulatorDriver
from market.feeds.storage import write_tick
from market.freshness import freshness
from market.models import Feed, Instrument
from market.services import announce_feed

logger = logging.getLogger(__name__)
LOCK = "market.feeds"
RELOAD_EVERY = 1.0
HEARTBEAT_EVERY = 5.0
LONGEST_BACK_OFF = 60.0
LONGEST_DATABASE_BACK_OFF = 4.0  # a restart of PostgreSQL takes seconds
STAND_BY = 2.0
SHORTEST_WAIT = 0.005
GOING = (Feed.State.RUNNING, Feed.State.STALE)
LOST = (OperationalError, InterfaceError)


@dataclass
class Running:
    """A feed that is being run: its row as last seen, its driver, and when to step it."""

    feed: Feed
    instruments: list[Instrument]
    driver: Driver
    due: float = 0.0
    failures: int = 0
    seen: dict[str, object] = field(default_factory=dict)


def make_driver(feed: Feed, wake: Callable[[], None]) -> Driver:
    """Return the driver of `feed`. ccxt is only imported where a live feed runs."""
    if feed.driver == Feed.Driver.LIVE:
        from market.feeds.live import LiveDriver

        return LiveDriver(feed, wake)
    return ReplayDriver(feed) if feed.driver == Feed.Driver.REPLAY else SimulatorDriver(feed)


class Runner:
    """Runs until `stop` is called. `clock` returns wall time in seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.running: dict[int, Running] = {}
        self.stopped = False
        self.holds_lock = self.waiting = False
        self.failures = 0
        self._wake = threading.Event()
        self._reload_at = self._beat_at = 0.0

    def stop(self) -> None:
        """Let `run` return soon; may be called from a signal handler."""
        self.stopped = True
        self._wake.set()

    def run(self) -> None:
        """Run feeds until stopped. A lost database is waited for, a second process waits for the first."""
        while not self.stopped:
            wait = self._guarded_pass()
            self._wake.wait(wait)
            self._wake.clear()
        self._leave()

    def _guarded_pass(self) -> float:
        """Do what is due and return how long to wait then."""
        try:
            if not self._hold_lock():
                return STAND_BY
            wait = self.one_pass()
        except LOST as error:
            return self._start_over(f"the database is lost: {_first_line(error)}")
        except Exception:
            logger.exception("the feed process failed")
            return self._start_over("starting over")
        if self.failures:
            logger.info("the database is back")
        self.failures = 0
        return wait

    def _hold_lock(self) -> bool:
        if self.holds_lock:
            return True
        self.holds_lock = try_hold(LOCK)
        if self.holds_lock:
            logger.info("running feeds")
        elif not self.waiting:
            logger.warning("another feed process runs: waiting for its end")
        self.waiting = not self.holds_lock
        return self.holds_lock

    def _start_over(self, reason: str) -> float:
        """Drop the connection and with it the lock; drivers then go on from what was committed."""
        if not self.failures:
            logger.warning(reason)
        self.failures += 1
        self.holds_lock = False
        self._forget(list(self.running))
        connection.close()
        return _back_off(self.failures, 0.5, LONGEST_DATABASE_BACK_OFF)

    def one_pass(self) -> float:
        """Step the feeds that are due and return the seconds until the next is."""
        # Also when the clock was set back, which would otherwise leave us waiting for the old time.
        if not 0 < self._reload_at - self.clock() <= RELOAD_EVERY:
            self.reload()
        for running in list(self.running.values()):
            if running.due <= self.clock():
                self._step(running)
        next_due = min([running.due for running in self.running.values()], default=self._reload_at)
        return max(min(next_due, self._reload_at) - self.clock(), SHORTEST_WAIT)

    def reload(self) -> None:
        """Read the feeds again: follow what was switched on, off or set differently."""
        self._reload_at = self.clock() + RELOAD_EVERY
        feeds = {feed.id: feed for feed in Feed.objects.filter(enabled=True).prefetch_related("instruments")}
        self._forget([feed_id for feed_id in self.running if feed_id not in feeds])
        for feed in feeds.values():
            self._follow(feed, list(feed.instruments.all()))
        if self.clock() >= self._beat_at:
            self._beat_at = self.clock() + HEARTBEAT_EVERY
            self._beat(list(feeds))

    def _follow(self, feed: Feed, instruments: list[Instrument]) -> None:
        known = self.running.get(feed.id)
        if known and known.seen == identity(feed):
            if [i.id for i in instruments] != [i.id for i in known.instruments]:
                known.due = 0.0
            known.feed, known.instruments = feed, instruments
            return
        self._forget([feed.id])
        if not instruments:
            if feed.state in GOING:
                Feed.objects.filter(id=feed.id).update(state=Feed.State.STOPPED)
            return
        try:
            driver = make_driver(feed, self._wake.set)
        except LOST:
            raise
        except Exception as error:
            self._record_error(feed, f"the settings can't be used: {describe(error)}")
            return
        self.running[feed.id] = Running(feed, instruments, driver, seen=identity(feed))

    def _forget(self, feed_ids: list[int]) -> None:
        for feed_id in feed_ids:
            gone = self.running.pop(feed_id, None)
            if gone:
                gone.driver.close()

    def _step(self, running: Running) -> None:
        """Step one feed. Whatever goes wrong with it delays it, and no other."""
        if not running.instruments:
            self._forget([running.feed.id])
            return
        try:
            tick = running.driver.step(running.feed, running.instruments, self.clock())
            written = write_tick(running.feed, tick, running.seen)
        except LOST:
            raise
        except Exception as error:
            self._failed(running, error)
            return
        running.failures = 0
        self._stepped(running, tick, written)

    def _stepped(self, running: Running, tick: Tick, written: Feed | None) -> None:
        if written is None or tick.ended:  # somebody changed the feed meanwhile, or it came to its end
            self._forget([running.feed.id])
            self._reload_at = 0.0
            return
        running.feed, running.seen, running.due = written, identity(written), tick.due

    def _failed(self, running: Running, error: Exception) -> None:
        running.failures += 1
        wait = _back_off(running.failures, 2.0, LONGEST_BACK_OFF)
        running.due = self.clock() + wait
        text = f"{type(error).__name__}: {error}"[:500]
        level = logging.ERROR if running.failures == 1 else logging.DEBUG
        expected = isinstance(error, (ValueError, OSError)) or not isinstance(error, DatabaseError)
        logger.log(level, "feed %s: %s (again in %.0f s)", running.feed.name, text, wait, exc_info=not expected)
        self._record_error(running.feed, text)

    def _record_error(self, feed: Feed, text: str) -> None:
        rows = Feed.objects.filter(id=feed.id, enabled=True)
        changed = rows.exclude(state=Feed.State.ERROR, last_error=text)
        if changed.update(state=Feed.State.ERROR, last_error=text):
            announce_feed(feed.id)

    def _beat(self, feed_ids: list[int]) -> None:
        """Write the heartbeat, and mark feeds that have gone stale."""
        now = timezone.now()
        Feed.objects.filter(id__in=feed_ids).update(heartbeat_at=now)
        running = list(self.running.values())
        forget_others({one.feed.name: [instrument.id for instrument in one.instruments] for one in running})
        each("market.freshness", [one.feed for one in running], partial(self._mark_stale, now), complete=True)

    def _mark_stale(self, now: datetime, feed: Feed) -> None:
        if feed.state == Feed.State.RUNNING and freshness(feed, now).stale:
            Feed.objects.filter(id=feed.id, state=Feed.State.RUNNING).update(state=Feed.State.STALE)
            announce_feed(feed.id)

    def _leave(self) -> None:
        """Mark the feeds stopped, as well as that is possible."""
        try:
            if self.holds_lock:
                Feed.objects.filter(state__in=GOING).update(state=Feed.State.STOPPED)
        except DatabaseError:
            logger.warning("stopped without the database")
        self._forget(list(self.running))
        connection.close()


def _back_off(failures: int, first: float, longest: float) -> float:
    """Return the seconds to wait after so many failures in a row: `first`, twice that, … `longest`."""
    return min(first * 2.0 ** min(failures - 1, 16), longest)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def identity(feed: Feed) -> dict[str, object]:
    """Return what makes a driver's knowledge of its feed out of date when it differs."""
    names = ("driver", "timeframe", "settings", "progress")
    return {name: getattr(feed, name) for name in names}
