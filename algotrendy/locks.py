"""Named advisory locks of PostgreSQL: one holder at a time on the whole desk, freed by the server when it dies.

Session locks need a session of their own: they do not survive a connection pooler in transaction mode.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


def key(name: str) -> int:
    """Return the 64-bit number that PostgreSQL knows the lock `name` by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def try_hold(name: str) -> bool:
    """Take the lock `name` for as long as this thread's connection lives, or return False.

    A connection that already holds it takes it once more.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key(name)])
        row = cursor.fetchone()
    return bool(row and row[0])


def release(name: str) -> None:
    """Give back a lock that `try_hold` took."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [key(name)])


@contextmanager
def try_session_lock(name: str) -> Iterator[bool]:
    """Yield whether this session got the lock; it needs no transaction, and is freed at the end of the block."""
    mine = try_hold(name)
    try:
        yield mine
    finally:
        if mine:
            release(name)


def lock_in_transaction(name: str) -> None:
    """Wait for the lock and hold it until the running transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key(name)])
