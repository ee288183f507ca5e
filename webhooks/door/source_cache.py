"""Who may send: a snapshot of all sources in the door's memory, so that an alert costs no query to check."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.rows import TupleRow

from webhooks import addresses
from webhooks.door.database import Connection, Database, Unavailable

MAX_AGE = 1.0  # seconds after which a snapshot is read again before it is used: revoking takes no longer
# Seconds after which a snapshot is read again beside its use: where alerts come steadily, none waits for that.
REFRESH_AGE = 0.5
MISS_PAUSE = 0.25  # seconds in which unknown tokens cause at most one reload: a new source works at once
LOAD_SECONDS = 2.0

_SQL = """
SELECT id, token_hash, previous_token_hash, previous_until, body_secret_hash, allowed_networks
FROM webhooks_source WHERE revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Sender:
    """What the door knows of a source, under one of its tokens. `until`: a token that was rotated away."""

    source_id: int
    body_secret_hash: str
    networks: tuple[addresses.Network, ...] | None  # None: from anywhere
    until: datetime | None


class SourceCache:
    """Senders by the hash of their token."""

    def __init__(self, load: Callable[[], Awaitable[dict[str, Sender]]]) -> None:
        self._load = load
        self._lock = asyncio.Lock()
        self._senders: dict[str, Sender] = {}
        self._tried_at = self._loaded_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, digest: str) -> Sender | None:
        """Return the sender whose token has this hash, or None.

        Raises Unavailable for a hash that is not known while the database can't be read.
        """
        await self._refresh(older_than=MAX_AGE)
        self._refresh_beside()
        sender = self._senders.get(digest)
        if sender is None:
            # A token made a moment ago works at once; a guesser waits, and costs one query for all guesses.
            await asyncio.sleep(max(0.0, self._tried_at + MISS_PAUSE - time.monotonic()))
            await self._refresh(older_than=MISS_PAUSE)
            sender = self._senders.get(digest)
            if sender is None and self._loaded_at < self._tried_at:
                raise Unavailable("the sources could not be read")
        expired = sender is not None and sender.until is not None and sender.until < datetime.now(UTC)
        return None if expired else sender

    def _refresh_beside(self) -> None:
        """Begin to read the snapshot again if it will soon be too old; nobody waits for it."""
        is_young = time.monotonic() - self._tried_at < REFRESH_AGE
        if is_young or (self._refreshing is not None and not self._refreshing.done()):
            return
        self._refreshing = asyncio.create_task(self._refresh(older_than=REFRESH_AGE), name="webhooks-sources")

    async def _refresh(self, *, older_than: float) -> None:
        if time.monotonic() - self._tried_at < older_than:
            return
        async with self._lock:
            # Another task may have loaded them while this one waited for the lock.
            now = time.monotonic()
            if now - self._tried_at < older_than:
                return
            try:
                self._senders = await self._load()
                self._tried_at = self._loaded_at = time.monotonic()
            except Unavailable:
                # Known senders stay known: their alerts are answered when the insert fails.
                self._tried_at = time.monotonic()


async def load_senders(database: Database) -> dict[str, Sender]:
    """Return all sources that may send, by the hashes of their current and their previous tokens."""
    return _by_hash(await database.run(_rows, seconds=LOAD_SECONDS))


async def _rows(connection: Connection) -> list[TupleRow]:
    return await (await connection.execute(_SQL)).fetchall()


def _by_hash(rows: Iterable[TupleRow]) -> dict[str, Sender]:
    senders: dict[str, Sender] = {}
    for source_id, token_hash, previous_hash, previous_until, secret_hash, texts in rows:
        allowed = _networks(texts)
        senders[token_hash] = Sender(source_id, secret_hash, allowed, None)
        if previous_hash and previous_until:
            senders.setdefault(previous_hash, Sender(source_id, secret_hash, allowed, previous_until))
    return senders


def _networks(texts: list[str]) -> tuple[addresses.Network, ...] | None:
    """Return the allow-list; one that can't be read allows nobody."""
    if not texts:
        return None
    try:
        return addresses.networks(tuple(texts))
    except (ValueError, TypeError, AttributeError):
        return ()
