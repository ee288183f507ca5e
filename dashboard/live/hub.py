"""The hub: once per web process, between the hints and the sockets.

A hint makes topics dirty. The hub gathers them for a moment, renders each changed region once, whoever looks at
it, and hands the message to every socket that asked for the topic. A socket keeps only the newest message of each
topic, so a slow reader skips states instead of falling behind. Hints may be lost (Valkey restarts) and the
database may be away: everything watched is read again every few seconds, and the sockets are notified while it
can't be.

Nobody's page waits for somebody else's: what everybody sees comes before the regions of single objects, of which a
round takes only some, and a region that fails is reported (`dashboard.live.broken`) while the others go on.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import redis.asyncio
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connections
from django.utils import timezone

from dashboard.live import broken, fragments
from dashboard.live.away import is_away
from dashboard.live.dependencies import related
from dashboard.live.messages import HINTS_CHANNEL, DataMessage, FragmentMessage, Hello, StateMessage
from dashboard.live.topics import SEPARATOR
from dashboard.live.updates import Subscriber, Update, next_update

logger = logging.getLogger(__name__)
GATHER_SECONDS = 0.05
REFETCH_SECONDS = 10.0
# Without hints the pages live on reading alone.
REFETCH_WITHOUT_HINTS = 2.0
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
AWAY_SECONDS = 1.0
# Regions of single objects that one round renders: many open tabs must not hold up the status line.
OBJECTS_AT_ONCE = 16
# A query without an answer for so long is a database that does not answer.
PATIENCE_SECONDS = 5.0

P = ParamSpec("P")
T = TypeVar("T")
Rendered = FragmentMessage | DataMessage
Produce = Callable[[str], Rendered | None]


def produce(topic: str) -> Rendered | None:
    """Return the message of a topic as it is now, version 0; None when there is nothing to show. Blocking."""
    producer, key = fragments.find(topic)
    if isinstance(producer, fragments.Data):
        payload = producer.payload(key)
        if payload is None:
            return None
        return DataMessage(type="data", topic=topic, version=0, data=payload)
    content = fragments.render(topic)
    if not content:
        return None
    target = "#" + fragments.element_id(topic)
    return FragmentMessage(
        type="fragment", topic=topic, version=0, target=target, swap="innerMorph", content=content
    )


def _now() -> str:
    return timezone.now().isoformat(timespec="milliseconds")


class Hub:
    """Watches topics for its subscribers. Lives in one event loop; runs only while somebody is subscribed."""

    def __init__(self, produce: Produce = produce) -> None:
        self.epoch = secrets.token_hex(4)
        self._produce = produce
        self._watchers: dict[str, set[Subscriber]] = {}
        self._latest: dict[str, Update] = {}
        self._dirty: dict[str, None] = {}
        self._rendered_at: dict[str, float] = {}
        self._paused: set[str] = set()
        self._busy_since: float | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._version = 0
        self._has_hints = False
        self._stale_since: str | None = None
        self._last_good = _now()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk-live")

    @property
    def is_running(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._tasks)

    @property
    def is_stale(self) -> bool:
        """Whether the sockets were notified that the database does not answer."""
        return self._stale_since is not None

    def join(self, subscriber: Subscriber) -> None:
        """Start sending to `subscriber`: what is known at once, the rest as soon as it is rendered."""
        hello = Hello(type="hello", epoch=self.epoch, now=_now())
        subscriber.put("hello", json.dumps(hello))
        if self._stale_since:
            subscriber.put("state", self._state_text())
        for topic in sorted(subscriber.topics):
            self._watchers.setdefault(topic, set()).add(subscriber)
            if topic in self._latest:
                subscriber.offer(topic, self._latest[topic])
            else:
                self.mark([topic])
        if not self._tasks:
            loops: tuple[Callable[[], Awaitable[None]], ...] = (
                self._listen,
                self._work,
                self._refetch,
                self._watch,
            )
            self._tasks = [asyncio.ensure_future(self._keep(loop)) for loop in loops]

    async def leave(self, subscriber: Subscriber) -> None:
        """Stop sending to `subscriber`; the last one to leave stops the hub."""
        for topic in subscriber.topics:
            watchers = self._watchers.get(topic, set())
            watchers.discard(subscriber)
            if not watchers:
                self._watchers.pop(topic, None)
                self._latest.pop(topic, None)
                self._rendered_at.pop(topic, None)
                broken.forget(topic)
        if not self._watchers:
            await self.stop()

    async def stop(self) -> None:
        """End the hub's tasks and give its database connection back."""
        tasks, self._tasks = self._tasks, []
        self._dirty.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._pool, connections.close_all)

    def mark(self, topics: Iterable[str]) -> None:
        """Have `topics` rendered again."""
        for topic in topics:
            self._dirty[topic] = None
        self._wake.set()

    async def _keep(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run one of the hub's loops for as long as the hub runs, whatever it meets."""
        while True:
            try:
                await loop()
            except Exception:
                logger.exception("the live pages met something unforeseen")
                await asyncio.sleep(AWAY_SECONDS)

    async def _listen(self) -> None:
        """Take hints from Valkey, reconnecting for ever; after a gap everything counts as changed."""
        attempt = 0
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
            try:
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe(HINTS_CHANNEL)
                    self._has_hints, attempt = True, 0
                    self.mark(self._watchers)
                    async for message in pubsub.listen():
                        self._take_hint(message)
            except (redis.RedisError, OSError) as error:
                logger.info("no hints: %s", error)
            finally:
                self._has_hints = False
                with contextlib.suppress(Exception):
                    await client.aclose()
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    def _take_hint(self, message: dict[str, object]) -> None:
        if message["type"] != "message":
            return
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            topics = json.loads(str(message["data"], "utf-8"))["topics"]  # type: ignore[call-overload]
            self.mark(topic for topic in topics if isinstance(topic, str))

    async def _refetch(self) -> None:
        while True:
            await asyncio.sleep(REFETCH_SECONDS if self._has_hints else REFETCH_WITHOUT_HINTS)
            self.mark(self._watchers)

    async def _watch(self) -> None:
        """Notice a database that neither answers nor fails."""
        while True:
            await asyncio.sleep(AWAY_SECONDS)
            if self._busy_since and time.monotonic() - self._busy_since > PATIENCE_SECONDS:
                self._away("it takes too long")

    async def _work(self) -> None:
        """Render what changed: at once after a quiet moment, then at most every 50 ms."""
        while True:
            await self._wake.wait()
            started = time.monotonic()
            self._wake.clear()
            changed, self._dirty = self._dirty, {}
            try:
                for topic in await self._to_render(changed):
                    await self._render_or_skip(topic)
                self._well()
            except Exception as error:
                if not is_away(error):
                    raise
                self._away(str(error))
                self.mark(changed)
                await asyncio.sleep(AWAY_SECONDS)
            await asyncio.sleep(max(0.0, GATHER_SECONDS - (time.monotonic() - started)))

    async def _to_render(self, changed: Mapping[str, None]) -> list[str]:
        """Return the topics of this round; those that must wait for the next come first in it."""
        watched = set(self._watchers)
        affected = [*changed, *sorted(await self._related(set(changed), watched) - set(changed))]
        shared = sorted(topic for topic in affected if topic in watched and SEPARATOR not in topic)
        objects = [topic for topic in affected if topic in watched and SEPARATOR in topic]
        if later := objects[OBJECTS_AT_ONCE:]:
            self._dirty = dict.fromkeys(later) | self._dirty
            self._wake.set()
        return [topic for topic in (*shared, *objects[:OBJECTS_AT_ONCE]) if self._is_due(topic)]

    async def _related(self, changed: set[str], watched: set[str]) -> set[str]:
        """Return what follows from `changed`; nothing where that can't be told, as all is read again anyway."""
        if not any(SEPARATOR in topic for topic in watched):
            return set()
        try:
            return await self._in_thread(related, changed, watched)
        except Exception as error:
            if is_away(error):
                raise
            logger.exception("what follows from %d changes could not be told", len(changed))
            return set()

    def _is_due(self, topic: str) -> bool:
        """Return whether a topic may be rendered now; if not, it will be when its pause is over."""
        now = time.monotonic()
        wait = self._rendered_at.get(topic, 0.0) + fragments.pause_of(topic) - now
        if wait > 0:
            if topic not in self._paused:
                self._paused.add(topic)
                asyncio.get_running_loop().call_later(wait, self._unpause, topic)
            return False
        self._rendered_at[topic] = now
        return True

    def _unpause(self, topic: str) -> None:
        self._paused.discard(topic)
        self.mark([topic])

    async def _render_or_skip(self, topic: str) -> None:
        """Render one region. One that fails must not stop the others."""
        try:
            await self._render(topic)
        except Exception as error:
            if is_away(error):
                raise
            if broken.report(topic, error):
                logger.exception("rendering %s failed", topic)
        else:
            broken.forget(topic)

    async def _render(self, topic: str) -> None:
        message = await self._in_thread(self._produce, topic)
        update = next_update(message, self._version + 1, self._latest.get(topic)) if message else None
        if update is None or topic not in self._watchers:
            return
        self._version = update.version
        self._latest[topic] = update
        for subscriber in self._watchers[topic]:
            subscriber.offer(topic, update)

    async def _in_thread(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        run = database_sync_to_async(function, thread_sensitive=False, executor=self._pool)
        self._busy_since = time.monotonic()
        try:
            result: T = await run(*arguments, **named)
        finally:
            self._busy_since = None
        return result

    def _well(self) -> None:
        self._last_good = _now()
        if self._stale_since is not None:
            self._stale_since = None
            self._broadcast_state()

    def _away(self, reason: str) -> None:
        if self._stale_since is None:
            logger.warning("the database did not answer: %s", reason)
            self._stale_since = self._last_good
            self._broadcast_state()

    def _broadcast_state(self) -> None:
        everyone = {subscriber for watchers in self._watchers.values() for subscriber in watchers}
        for subscriber in everyone:
            subscriber.put("state", self._state_text())

    def _state_text(self) -> str:
        state: StateMessage = {
            "type": "state",
            "state": "stale" if self._stale_since else "live",
            "since": self._stale_since or self._last_good,
        }
        return json.dumps(state)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
