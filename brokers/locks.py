"""Named advisory locks of PostgreSQL: one worker at a time, freed by the server when its holder dies."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


def key(name: str) -> int:
    """Return the 64-bit number that stands for `name`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@contextmanager
def try_session_lock(name: str) -> Iterator[bool]:
    """Yield whether this session got the lock; it needs no transaction, and is freed at the end of the block."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key(name)])
        row = cursor.fetchone()
    mine = bool(row and row[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key(name)])


def lock_in_transaction(name: str) -> None:
    """Wait for the lock and hold it until the running transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key(name)])
