"""Telling the pages that something changed, from whatever process it changed in.

A hint is a set of topics. Sending one adds them to a set and returns: a thread of its own publishes, at most every
`GATHER_SECONDS`, so a burst of a thousand fills is a few messages, and a Valkey that is down costs the caller
nothing. Hints wait for it in memory, and may be lost; the hub asks the database again every few seconds whatever
happens.
"""

import contextlib
import json
import logging
import os
import threading
import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError
from django.dispatch import Signal

from brokers.signals import desk_changed, equity_marked, fill_recorded, order_changed, trade_closed
from dashboard.live.messages import HINTS_CHANNEL, Hint
from market.signals import candle_closed, feed_changed
from memory.signals import decided, outcomes_resolved
from mlmodels.signals import predicted, proof_changed, registry_changed, training_changed
from webhooks.signals import alert_changed

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


@lru_cache(maxsize=512)
def _symbol(instrument_id: int) -> str:
    from market.models import Instrument

    return Instrument.objects.only("symbol").get(pk=instrument_id).symbol


def chart_topic(instrument_id: int) -> str:
    """Return the topic of an instrument's chart; empty when the instrument can't be read now."""
    from market.models import Instrument

    with contextlib.suppress(DatabaseError, Instrument.DoesNotExist):
        return f"chart:{_symbol(instrument_id)}"
    return ""


def _on_candle(instrument_id: int, **_: Any) -> None:
    send(chart_topic(instrument_id), "positions", "status", "brokers")


def _on_feed(**_: Any) -> None:
    send("health", "status", "desk-health")


def _on_order(order_id: int, **_: Any) -> None:
    send(f"order:{order_id}", "orders", "order-trouble", "status", "stream", "brokers")


def _on_fill(order_id: int, **_: Any) -> None:
    send(f"order:{order_id}", "orders", "positions", "trades", "status", "equity", "brokers", "marks")


def _on_trade(trade_id: int, **_: Any) -> None:
    send(f"trade:{trade_id}", "trades", "positions", "stream", "status", "equity", "decisions")


def _on_desk(**_: Any) -> None:
    send("status", "desk-state", "health", "desk-health")


def _on_equity(**_: Any) -> None:
    send("equity", "status", "brokers", "desk-health")


def _on_decision(decision_id: int, **_: Any) -> None:
    send(f"decision:{decision_id}", "stream", "decisions", "alerts", "marks", "sources")


def _on_outcomes(instrument_id: int, decision_ids: list[int], **_: Any) -> None:
    send(*(f"decision:{pk}" for pk in decision_ids[:200]), "stream", "decisions", "marks")


def _on_alert(alert_id: int, **_: Any) -> None:
    send(f"alert:{alert_id}", "alerts", "status", "sources", "health", "desk-health")


def _on_training(run_id: int, **_: Any) -> None:
    send(f"training-run:{run_id}", "training", "models", "desk-models")


def _on_registry(**_: Any) -> None:
    send("registry", "models", "desk-models", "health")


def _on_predictions(**_: Any) -> None:
    send("predicted")


def _on_proof(**_: Any) -> None:
    send("proof", "models")


RECEIVERS: tuple[tuple[Signal, Any], ...] = (
    (candle_closed, _on_candle),
    (feed_changed, _on_feed),
    (order_changed, _on_order),
    (fill_recorded, _on_fill),
    (trade_closed, _on_trade),
    (desk_changed, _on_desk),
    (equity_marked, _on_equity),
    (decided, _on_decision),
    (outcomes_resolved, _on_outcomes),
    (alert_changed, _on_alert),
    (training_changed, _on_training),
    (registry_changed, _on_registry),
    (predicted, _on_predictions),
    (proof_changed, _on_proof),
)


def connect() -> None:
    """Listen to what the apps below announce."""
    for signal, receiver in RECEIVERS:
        signal.connect(receiver, dispatch_uid=f"hints.{receiver.__name__}")
