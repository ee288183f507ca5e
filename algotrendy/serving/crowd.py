"""The connections of this process that wait for their other end, and which of them go when there are too many."""

import logging
import time
from typing import Protocol

logger = logging.getLogger(__name__)
MOST = 4000  # connections; with the bounds of one connection that is at most some 150 MB of unfinished requests
RESERVE = 200  # descriptors for files, PostgreSQL, Valkey and what else the process opens
WARN_SECONDS = 60.0


class Waiting(Protocol):
    """A connection that can be given up."""

    def give_up(self) -> None:
        """Close it at once."""


class Crowd:
    """Who waits: before a request is whole, between two, or for an answer to be taken.

    A connection whose request is being worked on is never given up. An alert is whole within milliseconds, so
    those that have waited longest are never alerts.
    """

    def __init__(self, descriptors: int) -> None:
        self.most = max(16, min(MOST, descriptors - RESERVE))
        self._waiting: dict[Waiting, None] = {}
        self._warned_at = float("-inf")

    def join(self, connection: Waiting, open_now: int) -> None:
        """Take in a new connection, which waits; if too many are open, the one that waited longest goes."""
        self._waiting[connection] = None
        if open_now > self.most:
            self._warn()
            oldest = next(iter(self._waiting))
            self.leave(oldest)
            oldest.give_up()

    def wait(self, connection: Waiting) -> None:
        """Note that a connection waits for its other end, from now on if it did not already."""
        self._waiting.setdefault(connection)

    def leave(self, connection: Waiting) -> None:
        """Note that the desk works for a connection, or that it is gone."""
        self._waiting.pop(connection, None)

    def _warn(self) -> None:
        if time.monotonic() - self._warned_at > WARN_SECONDS:
            self._warned_at = time.monotonic()
            logger.warning(
                "%d connections are open, more than this process keeps: the longest idle are closed", self.most
            )
