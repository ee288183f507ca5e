"""What the dashboard listens to: whatever is announced becomes hints for the open pages. Quick, as all receivers.

Each receiver names the topics that the change concerns (`dashboard.live.topics`); which pages of single objects
follow from them, `dashboard.live.dependencies` knows.
"""

import contextlib
from collections.abc import Callable
from functools import lru_cache

from django.db import DatabaseError
from django.dispatch import Signal

from algotrendy.isolation.signals import failures_changed
from brokers.signals import desk_changed, equity_marked, fill_recorded, order_changed, trade_closed
from dashboard.live import topics
from dashboard.live.publisher import send
from dashboard.live.topics import topic
from dashboard.signals import books_compared, demo_removed
from market.models import Instrument
from market.signals import candle_closed, feed_changed, price_moved
from memory.signals import decided, outcomes_resolved
from mlmodels.signals import predicted, proof_changed, registry_changed, training_changed
from webhooks.signals import alert_changed

MAX_DECISIONS = 200


@lru_cache(maxsize=512)
def _symbol(instrument_id: int) -> str:
    return Instrument.objects.only("symbol").get(pk=instrument_id).symbol


def chart_topic(instrument_id: int) -> str:
    """Return the topic of an instrument's chart; empty when the instrument can't be read now."""
    with contextlib.suppress(DatabaseError, Instrument.DoesNotExist):
        return topic(topics.CHART, _symbol(instrument_id))
    return ""


def _on_price(instrument_id: int, **_: object) -> None:
    send(chart_topic(instrument_id), topics.POSITIONS, topics.STATUS, topics.BROKERS)


def _on_feed(**_: object) -> None:
    send(topics.HEALTH, topics.STATUS)


def _on_order(order_id: int, **_: object) -> None:
    send(
        topic(topics.ORDER, order_id),
        topics.ORDERS,
        topics.ORDER_TROUBLE,
        topics.STATUS,
        topics.STREAM,
        topics.BROKERS,
        topics.MARKS,  # a chart draws stops and targets while they work
    )


def _on_fill(order_id: int, **_: object) -> None:
    send(
        topic(topics.ORDER, order_id),
        topics.ORDERS,
        topics.POSITIONS,
        topics.TRADES,
        topics.STATUS,
        topics.EQUITY,
        topics.BROKERS,
        topics.MARKS,
    )


def _on_trade(trade_id: int, **_: object) -> None:
    send(
        topic(topics.TRADE, trade_id),
        topics.TRADES,
        topics.POSITIONS,
        topics.STREAM,
        topics.STATUS,
        topics.EQUITY,
        topics.DECISIONS,
    )


def _on_desk(**_: object) -> None:
    send(topics.STATUS, topics.DESK_STATE, topics.HEALTH)


def _on_equity(**_: object) -> None:
    send(topics.EQUITY, topics.STATUS, topics.BROKERS)


def _on_decision(decision_id: int, **_: object) -> None:
    send(
        topic(topics.DECISION, decision_id),
        topics.STREAM,
        topics.DECISIONS,
        topics.ALERTS,
        topics.MARKS,
        topics.SOURCES,
    )


def _on_outcomes(decision_ids: list[int], **_: object) -> None:
    changed = [topic(topics.DECISION, pk) for pk in decision_ids[:MAX_DECISIONS]]
    send(*changed, topics.STREAM, topics.DECISIONS, topics.MARKS)


def _on_alert(alert_id: int, **_: object) -> None:
    send(
        topic(topics.ALERT, alert_id),
        topics.ALERTS,
        topics.STATUS,
        topics.SOURCES,
        topics.HEALTH,
    )


def _on_training(run_id: int, **_: object) -> None:
    send(topic(topics.TRAINING_RUN, run_id), topics.TRAINING, topics.MODELS, topics.DESK_MODELS)


def _on_registry(**_: object) -> None:
    send(topics.REGISTRY, topics.MODELS, topics.DESK_MODELS, topics.HEALTH)


def _on_predictions(**_: object) -> None:
    send(topics.PREDICTED)


def _on_proof(**_: object) -> None:
    send(topics.PROOF, topics.MODELS)


def _on_books_compared(**_: object) -> None:
    send(topics.HEALTH)


def _on_failures(**_: object) -> None:
    send(topics.HEALTH)


def _on_demo_removed(**_: object) -> None:
    send(
        topics.STATUS,
        topics.SOURCES,
        topics.ALERTS,
        topics.DECISIONS,
        topics.ORDERS,
        topics.TRADES,
        topics.POSITIONS,
        topics.EQUITY,
        topics.STREAM,
        topics.MARKS,
    )


RECEIVERS: tuple[tuple[Signal, Callable[..., None]], ...] = (
    (candle_closed, _on_price),
    (price_moved, _on_price),
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
    (books_compared, _on_books_compared),
    (failures_changed, _on_failures),
    (demo_removed, _on_demo_removed),
)


def connect() -> None:
    """Listen to what the apps announce."""
    for signal, receiver in RECEIVERS:
        signal.connect(receiver, dispatch_uid=f"hints.{receiver.__name__}")
