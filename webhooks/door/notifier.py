"""Notifies the agent that alerts wait. Only a nudge: the row is the queue, and a sweep finds what was lost."""

import logging
import threading
from typing import Protocol

from algotrendy.celery import app
from webhooks.models import Alert
from webhooks.signals import alert_changed

logger = logging.getLogger(__name__)

EXPIRES = 10  # seconds
# Publishing costs as much as accepting several alerts. The first nudge leaves at once, later ones of a burst at
# this distance: the agent works on until nothing waits, so most would find nothing to do.
PAUSE = 0.04  # seconds
# The settings' time-outs suit workers. Here a broker that is gone or hangs must only cost a thread a second.
_TRANSPORT = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry_on_timeout": False, "max_retries": 0}


class _BrokerConnection(Protocol):
    """What is used of kombu's connection, which has no types."""

    def release(self) -> None: ...


class Notifier:
    """Publishes from a thread of its own: no answer waits for the broker, and nudges coalesce meanwhile."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._newest = 0
        self._thread: threading.Thread | None = None
        self._connection: _BrokerConnection | None = None

    def __call__(self, alert_id: int) -> None:
        """Ask for a nudge; `alert_id` is the newest alert that was stored."""
        self._newest = max(self._newest, alert_id)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="webhooks-nudger", daemon=True)
            self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """End the thread; waits for a publish that is under way, at most 2 s."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stop.is_set():
                self._drop()
                return
            self._publish()
            alert_changed.send_robust(sender=Alert, alert_id=self._newest, state=Alert.State.RECEIVED)
            self._stop.wait(PAUSE)

    def _publish(self) -> None:
        for is_new in (self._connection is None, True):
            try:
                if self._connection is None:
                    self._connection = app.connection_for_write(transport_options=_TRANSPORT)
                app.send_task(
                    "webhooks.work_inbox",
                    connection=self._connection,
                    expires=EXPIRES,
                    retry=False,
                    ignore_result=True,
                )
                return
            except Exception as error:
                # Whatever the broker's client raises, an alert is safe in its row.
                self._drop()
                if is_new:
                    logger.warning("the agent was not nudged: %s", type(error).__name__)
                    return

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()
