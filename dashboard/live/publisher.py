"""Telling the pages that something changed, from whatever process it changed in.

A hint is a set of topics. Sending one adds them to a set and returns: a thread of its own publishes, at most every
`GATHER_SECONDS`, so a burst of a thousand fills is a few messages, and a Valkey that is down costs the caller
nothing. Hints wait for it in memory, and may be lost; the hub asks the database again every few seconds whatever
happens.
"""

import json
import logging
import os
import threading
import time

import redis
from django.conf import settings

from dashboard.live.messages import HINTS_CHANNEL, Hint

logger = logging.getLogger(__name__)
GATHER_SECONDS = 0.04
RETRY_SECONDS = 0.5
TIMEOUT_SECONDS = 0.5
MAX_WAITING = 2000


class Publisher:
    """Gathers topics and publishes them from a daemon thread, started with the first hint of a process."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start anew: threads, locks and connections do not survive a fork."""
        self._waiting: set[str] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._client: redis.Redis | None = None

    def add(self, topics: set[str]) -> None:
        """Take topics to publish. Never blocks on the network and never raises."""
        with self._changed:
            if len(self._waiting) < MAX_WAITING:
                self._waiting |= topics
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="desk-hints", daemon=True)
                self._thread.start()
            self._changed.notify()

    def flush(self) -> bool:
        """Publish now, in this thread, whatever waits; return whether that could be done.

        For processes that are about to end.
        """
        with self._changed:
            topics, self._waiting = self._waiting, set()
        if not topics or self._publish(topics):
            return True
        with self._changed:
            self._waiting |= topics
        return False

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
            time.sleep(GATHER_SECONDS if self.flush() else RETRY_SECONDS)

    def _publish(self, topics: set[str]) -> bool:
        """Return whether Valkey took the hint."""
        hint: Hint = {"type": "hint", "topics": sorted(topics)}
        try:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    settings.REDIS_URL,
                    socket_timeout=TIMEOUT_SECONDS,
                    socket_connect_timeout=TIMEOUT_SECONDS,
                )
            self._client.publish(HINTS_CHANNEL, json.dumps(hint))
        except (redis.RedisError, OSError) as error:
            logger.debug("hint was not sent: %s", error)
            return False
        return True


publisher = Publisher()


def send(*topics: str) -> None:
    """Hint that `topics` changed. Call it after commit. Never raises, never waits."""
    publisher.add({topic for topic in topics if topic})
