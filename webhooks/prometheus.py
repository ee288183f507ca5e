"""Figures of alerts for /prometheus: the queue's age, and how long alerts take to their first fill."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from algotrendy.monitoring.prometheus import figures
from webhooks.door import accept_metrics as accept_metrics  # its metrics belong to every scrape
from webhooks.models import Alert
from webhooks.selectors import queue_age

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


@figures
def queue() -> Iterator[Metric]:
    """Yield how many alerts wait, and how long the oldest."""
    waiting = Alert.objects.filter(state=Alert.State.RECEIVED).count()
    text = "Age of the oldest undecided alert."
    yield GaugeMetricFamily("algotrendy_queue_age_seconds", text, value=queue_age() or 0.0)
    yield GaugeMetricFamily("algotrendy_queue_alerts", "Alerts not yet decided.", value=waiting)


@figures
def filled() -> Iterator[Metric]:
    """Yield the latency from alert to first fill, of the last minutes."""
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
