"""Named advisory locks of PostgreSQL: a killed process frees them, as they die with its connection."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connection


def lock_number(name: str) -> int:
    """Return the 64-bit number under which PostgreSQL knows the lock `name`."""
    return int.from_bytes(hashlib.sha256(f"algotrendy.{name}".encode()).digest()[:8], "big", signed=True)


# Held for the rest of a transaction that adds alerts, by every process that does: their ids follow the order of
# their commits, and nobody can add an equal alert between the look for one and the insert.
ADD_ALERTS = lock_number("webhooks.add-alerts")
# Held by the one agent that decides alerts.
INBOX = lock_number("webhooks.inbox")


def lock_for_transaction(number: int) -> None:
    """Wait for a lock that is held until the end of the current transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


@contextmanager
def try_lock(number: int) -> Iterator[bool]:
    """Hold a lock of the session inside the block, if nobody else does; gives whether it is held.

    Needs a connection that stays the same: not behind a pooler in transaction mode.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        held = bool(cursor.fetchone()[0])
    try:
        yield held
    finally:
        if held:
            _unlock(number)


def _unlock(number: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
    except (OperationalError, InterfaceError):
        connection.close()  # a lost connection has lost its locks
