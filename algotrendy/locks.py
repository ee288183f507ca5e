"""Named advisory locks of the database: one holder at a time on the whole desk, released when it dies."""

import hashlib

from django.db import connection


def lock_key(name: str) -> int:
    """Return the 64-bit number that PostgreSQL knows the lock `name` by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def try_hold(name: str) -> bool:
    """Take the lock `name` for as long as this thread's connection lives, or return False.

    A connection that already holds it takes it once more.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(name)])
        row = cursor.fetchone()
    return bool(row and row[0])


def release(name: str) -> None:
    """Give back a lock that `try_hold` took."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [lock_key(name)])
