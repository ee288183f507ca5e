"""Figures of /prometheus that are read from the database when they are asked for.

What a process measures itself (the door's accept latency) lies in its own module and the same registry.
Every query is served by an index or bounded by a window: a scrape costs the same on a desk of ten years.
"""

import importlib
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

WINDOW = timedelta(minutes=15)
QUANTILES = (0.5, 0.9, 0.99)
MOST_RECENT = 5000  # alerts looked at for the latency

FILLED_QUERY = """
    SELECT count(*), percentile_cont(%s::float8[]) WITHIN GROUP (ORDER BY seconds)
    FROM (
        SELECT extract(epoch FROM min(fill.recorded_at) - alert.received_at) AS seconds
        FROM (
            SELECT id, received_at, decision_id FROM webhooks_alert
            WHERE decision_id IS NOT NULL ORDER BY id DESC LIMIT %s
        ) alert
        JOIN memory_decisionorder link ON link.decision_id = alert.decision_id
        JOIN brokers_order leg ON leg.id = link.order_id AND leg.role IN ('entry', 'exit')
        JOIN brokers_fill fill ON fill.order_id = leg.id
        WHERE alert.received_at > %s
        GROUP BY alert.id, alert.received_at
    ) latencies
"""


class DeskCollector(Collector):
    """Queue age, alert→filled latency, age of feeds, orders by state, desk state, models."""

    def collect(self) -> Iterable[Metric]:
        """Yield the figures; a database that does not answer yields only that it does not."""
        up = GaugeMetricFamily("algotrendy_database_up", "1 if the database answered this scrape.")
        try:
            found = [*_queue(), *_filled(), *_feeds(), *_orders(), *_desk(), *_models()]
        except DatabaseError:
            found = []
        up.add_metric([], 1.0 if found else 0.0)
        return [up, *found]


def register(registry: CollectorRegistry) -> None:
    """Add the collector to `registry` once per process, and make sure that the door's own figures are there."""
    importlib.import_module("webhooks.prometheus")
    if _COLLECTOR not in registry._collector_to_names:
        registry.register(_COLLECTOR)


_COLLECTOR = DeskCollector()


def queue_age() -> float | None:
    """Return the age of the oldest undecided alert in seconds, or None if none waits."""
    from webhooks.models import Alert

    oldest = Alert.objects.filter(state=Alert.State.RECEIVED).aggregate(at=Min("received_at"))["at"]
    return (timezone.now() - oldest).total_seconds() if oldest else None


def _queue() -> Iterator[Metric]:
    from webhooks.models import Alert

    waiting = Alert.objects.filter(state=Alert.State.RECEIVED).count()
    text = "Age of the oldest undecided alert."
    yield GaugeMetricFamily("algotrendy_queue_age_seconds", text, value=queue_age() or 0.0)
    yield GaugeMetricFamily("algotrendy_queue_alerts", "Alerts not yet decided.", value=waiting)


def _filled() -> Iterator[Metric]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(FILLED_QUERY, [list(QUANTILES), MOST_RECENT, timezone.now() - WINDOW])
        count, quantiles = cursor.fetchone()
    text = "From the receipt of an alert to its first fill, of the last 15 minutes."
    latency = GaugeMetricFamily("algotrendy_alert_to_filled_seconds", text, labels=["quantile"])
    for quantile, seconds in zip(QUANTILES, quantiles or [], strict=False):
        latency.add_metric([str(quantile)], float(seconds))
    yield latency
    text = "Alerts of the last 15 minutes that led to a fill."
    yield GaugeMetricFamily("algotrendy_alerts_filled", text, value=count)


def _feeds() -> Iterator[Metric]:
    from market.models import Feed

    text = "Since the last candle of an enabled feed."
    age = GaugeMetricFamily("algotrendy_feed_age_seconds", text, labels=["feed", "driver"])
    now = timezone.now()
    for feed in Feed.objects.filter(enabled=True, last_candle_at__isnull=False).only(
        "name", "driver", "last_candle_at"
    ):
        assert feed.last_candle_at is not None  # noqa: S101 - filtered above
        age.add_metric([feed.name, feed.driver], (now - feed.last_candle_at).total_seconds())
    yield age


def _orders() -> Iterator[Metric]:
    """Yield orders by state. Final states are counted by the API and the pages; here they would grow forever."""
    from django.db.models import Count

    from brokers.models import Order

    orders = GaugeMetricFamily("algotrendy_orders", "Orders that are open now, by state.", labels=["state"])
    open_states = [state for state in Order.State.values if state not in Order.FINAL]
    counted = dict(
        Order.objects.filter(state__in=open_states).values_list("state").annotate(Count("id")).order_by()
    )
    for state in open_states:
        orders.add_metric([state], counted.get(state, 0))
    yield orders


def _desk() -> Iterator[Metric]:
    from brokers.models import Desk

    state = GaugeMetricFamily("algotrendy_desk_state", "1 for the state the desk is in.", labels=["state"])
    now = Desk.objects.values_list("state", flat=True).first()
    for name in Desk.State.values:
        state.add_metric([name], 1.0 if name == now else 0.0)
    yield state


def _models() -> Iterator[Metric]:
    from mlmodels.prometheus import figures

    yield from figures()
