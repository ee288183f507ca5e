"""The door's own connection to PostgreSQL: outside Django's pool, so that no slow page can delay an alert."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from django.db import connections
from psycopg.rows import TupleRow

Connection = psycopg.AsyncConnection[TupleRow]

T = TypeVar("T")


class Unavailable(Exception):
    """PostgreSQL could not be reached, or did not answer in time: whether a statement took effect is unknown."""


def parameters() -> dict[str, Any]:
    """Return the parameters of the default database for an asynchronous connection."""
    defaults = connections["default"].get_connection_params()
    kept = {name: value for name, value in defaults.items() if name not in {"cursor_factory", "context"}}
    # One long-lived connection repeats one statement: prepared it costs the server a third less.
    prepare = connections["default"].settings_dict["OPTIONS"].get("prepare_threshold", 1)
    return {**kept, "connect_timeout": 2, "autocommit": True, "prepare_threshold": prepare}


class Database:
    """One connection, used by one task at a time, opened when first needed and again after it was lost."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, seconds: float) -> T:
        """Return `await work(connection)`. Raises Unavailable when PostgreSQL fails or takes longer than that.

        A connection that was lost since its last use is opened again and `work` repeated once: it must be safe to
        repeat. Any other error of the database is raised as it is.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(seconds):
                    return await self._run_or_reconnect(work)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError) as error:
                await self._drop()
                raise Unavailable(str(error) or "no answer in time") from error

    async def _run_or_reconnect(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        connection = self._connection
        if connection is not None and not connection.closed:
            try:
                return await work(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                await self._drop()
        self._connection = await psycopg.AsyncConnection.connect(**parameters())
        return await work(self._connection)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        """Close the connection. It opens again if it is used again."""
        async with self._lock:
            await self._drop()
