"""Group commit: alerts that arrive together are committed together, and only then answered.

One task takes everything that waits, writes it in one transaction and answers; meanwhile the next batch gathers.
So a busy door pays one flush to disk per batch instead of one per alert, and a quiet one never waits.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString

import psycopg

from algotrendy import locks
from webhooks.door.database import Connection, Database, Unavailable
from webhooks.models import ADD_ALERTS_LOCK

logger = logging.getLogger(__name__)

MAX_BATCH = 1000  # alerts
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_WAITING = 10_000  # alerts; more are refused at once, so that memory is bounded
COMMIT_SECONDS = 2.0
ANSWER_SECONDS = 2.8  # TradingView hangs up after 3 s
TURN_OF_MINUTE = 10  # seconds in which alerts of the minute before are surely stored or given up
COUNT_LOCK_TIMEOUT = "250ms"

_ADD_ALERTS = locks.key(ADD_ALERTS_LOCK)
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_INSERT = """
WITH incoming AS (
    SELECT * FROM unnest(
        %b::bigint[], %b::text[], %b::text[], %b::bytea[], %b::text[], %b::text[], %b::timestamptz[]
    ) WITH ORDINALITY AS t (source_id, key, earlier_key, body, content_type, remote_address, received_at, place)
)
INSERT INTO webhooks_alert
    (source_id, idempotency_key, body, content_type, remote_address, received_at,
     duplicates, state, reason, intent, attempts)
SELECT i.source_id, i.key, i.body, i.content_type, i.remote_address::inet, i.received_at, 0, 'received', '', '', 0
FROM (SELECT pg_advisory_xact_lock(%s)) turn, incoming i
JOIN webhooks_source s ON s.id = i.source_id AND s.revoked_at IS NULL
WHERE i.earlier_key = '' OR NOT EXISTS (
    SELECT FROM webhooks_alert a
    WHERE a.source_id = i.source_id AND a.idempotency_key = i.earlier_key
    AND a.received_at > i.received_at - interval '60 s'
)
ORDER BY i.place
ON CONFLICT (source_id, idempotency_key) DO NOTHING
RETURNING source_id, idempotency_key, id
"""
_FIND = """
SELECT source_id, idempotency_key, id FROM webhooks_alert
WHERE (source_id, idempotency_key) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))
"""
_COUNT = """
UPDATE webhooks_alert a SET duplicates = a.duplicates + n.times
FROM unnest(%s::bigint[], %s::integer[]) AS n (id, times) WHERE a.id = n.id
"""

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an alert. No id: its source was revoked meanwhile, and nothing was stored."""

    alert_id: int | None
    duplicate: bool = False


@dataclass(slots=True, eq=False)
class Incoming:
    """An alert that waits to be stored. `earlier_key` is the second key of `webhooks.door.idempotency`."""

    source_id: int
    key: str
    earlier_key: str
    body: bytes
    content_type: str
    remote_address: str | None
    received_at: datetime
    answer: "asyncio.Future[Accepted]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def possible_keys(self) -> list[Key]:
        """Return the keys under which an equal alert may be stored, the newest first."""
        return [(self.source_id, key) for key in (self.key, self.earlier_key) if key]


class Committer:
    """Stores alerts in batches. `on_stored` is called after each batch with the id of its newest alert."""

    def __init__(self, database: Database, on_stored: Callable[[int], None]) -> None:
        self._database = database
        self._on_stored = on_stored
        self._waiting: list[Incoming] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._uncounted: Counter[int] = Counter()

    async def accept(self, alert: Incoming) -> Accepted:
        """Return what became of `alert` once it is durable. Raises Unavailable when it could not be stored.

        When PostgreSQL is lost or does not answer in the middle of a commit, its fate is unknown; then Unavailable
        makes the sender come again, and the alert's key makes that harmless.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("too many alerts are waiting")
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="webhooks-committer")
        self._waiting.append(alert)
        self._wake.set()
        deadline = asyncio.get_running_loop().call_later(ANSWER_SECONDS, _expire, alert)
        try:
            return await alert.answer
        finally:
            deadline.cancel()

    async def close(self) -> None:
        """Stop once everything that waits is stored and answered."""
        while self._waiting and self._task is not None and not self._task.done():
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._store(self._next_batch())

    def _next_batch(self) -> list[Incoming]:
        size = count = 0
        for alert in self._waiting[:MAX_BATCH]:
            size += len(alert.body)
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _store(self, batch: list[Incoming]) -> None:
        try:
            await self._store_together(batch)
        except Unavailable as error:
            logger.warning("%d alerts were not stored: PostgreSQL is not available: %s", len(batch), error)
            _fail(batch, error)
        except psycopg.Error as error:
            await self._store_one_by_one(batch, error)
        except Exception as error:
            # A bug must not stop the door: these fail, the next batch is tried.
            logger.exception("%d alerts were not stored", len(batch))
            _fail(batch, Unavailable(str(error)))

    async def _store_one_by_one(self, batch: list[Incoming], error: psycopg.Error) -> None:
        """Find the alert that PostgreSQL refuses, so that it alone fails."""
        if len(batch) == 1:
            logger.error("PostgreSQL refused an alert: %s", type(error).__name__)
            _fail(batch, Unavailable(type(error).__name__))
            return
        for alert in batch:
            await self._store([alert])

    async def _store_together(self, batch: list[Incoming]) -> None:
        firsts, repeats = _without_repeats(batch)
        added = await self._database.run(lambda connection: _insert(connection, firsts), seconds=COMMIT_SECONDS)
        for alert in firsts:
            if alert_id := added.get((alert.source_id, alert.key)):
                _answer(alert, Accepted(alert_id))
        if added:
            self._on_stored(max(added.values()))
        duplicates = repeats + [alert for alert in firsts if (alert.source_id, alert.key) not in added]
        if duplicates:
            await self._answer_duplicates(duplicates, added)

    async def _answer_duplicates(self, duplicates: list[Incoming], added: dict[Key, int]) -> None:
        """Answer alerts that were stored before, in this batch or earlier, and count them."""
        missing = [key for alert in duplicates for key in alert.possible_keys() if key not in added]
        ids = added | await self._database.run(
            lambda connection: _find(connection, missing), seconds=COMMIT_SECONDS
        )
        first_ids = [next((ids[key] for key in alert.possible_keys() if key in ids), None) for alert in duplicates]
        self._uncounted.update(alert_id for alert_id in first_ids if alert_id is not None)
        await self._count()
        for alert, alert_id in zip(duplicates, first_ids, strict=True):
            _answer(alert, Accepted(alert_id, duplicate=alert_id is not None))

    async def _count(self) -> None:
        """Add what was not counted yet to the alerts' `duplicates`; what can't be now is tried with the next one.

        An alert that is being decided is locked: waiting long for it would hold up all the others.
        """
        counts = dict(self._uncounted)
        try:
            await self._database.run(lambda connection: _add_counts(connection, counts), seconds=COMMIT_SECONDS)
        except (psycopg.Error, Unavailable):
            return
        self._uncounted.subtract(counts)
        self._uncounted = +self._uncounted


def _without_repeats(batch: list[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
    """Split a batch into the first alert of each key and those that repeat one of them."""
    seen: set[Key] = set()
    firsts: list[Incoming] = []
    repeats: list[Incoming] = []
    for alert in batch:
        (repeats if any(key in seen for key in alert.possible_keys()) else firsts).append(alert)
        seen.add((alert.source_id, alert.key))
    return firsts, repeats


async def _insert(connection: Connection, alerts: Sequence[Incoming]) -> dict[Key, int]:
    """Store alerts in one transaction; return the ids of those that are new.

    One statement does it, in one round trip. A statement does not see what was committed after it began: right
    after the turn of a minute another door may still be storing an equal alert of the minute before, so there the
    look for it waits for the lock first.
    """
    columns = (
        [alert.source_id for alert in alerts],
        [alert.key for alert in alerts],
        [alert.earlier_key for alert in alerts],
        [alert.body for alert in alerts],
        [alert.content_type for alert in alerts],
        [alert.remote_address for alert in alerts],
        [alert.received_at for alert in alerts],
        _ADD_ALERTS,
    )
    if not any(alert.earlier_key and alert.received_at.second < TURN_OF_MINUTE for alert in alerts):
        return await _ids(connection, _INSERT, columns)
    async with connection.transaction():
        await connection.execute(_LOCK, [_ADD_ALERTS])
        return await _ids(connection, _INSERT, columns)


async def _find(connection: Connection, keys: Sequence[Key]) -> dict[Key, int]:
    return await _ids(connection, _FIND, [[source for source, _ in keys], [key for _, key in keys]])


async def _ids(connection: Connection, query: LiteralString, values: Sequence[object]) -> dict[Key, int]:
    cursor = await connection.execute(query, values)
    return {(source_id, key): alert_id for source_id, key, alert_id in await cursor.fetchall()}


async def _add_counts(connection: Connection, counts: dict[int, int]) -> None:
    async with connection.transaction():
        await connection.execute("SELECT set_config('lock_timeout', %s, true)", [COUNT_LOCK_TIMEOUT])
        await connection.execute(_COUNT, [list(counts), list(counts.values())])


def _answer(alert: Incoming, accepted: Accepted) -> None:
    # The sender may have hung up: then its future is cancelled.
    if not alert.answer.done():
        alert.answer.set_result(accepted)


def _expire(alert: Incoming) -> None:
    _fail([alert], Unavailable("no answer in time"))


def _fail(batch: list[Incoming], error: Exception) -> None:
    for alert in batch:
        if not alert.answer.done():
            alert.answer.set_exception(error)
