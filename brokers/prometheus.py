"""Figures of orders and of the desk's state for /prometheus."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily, Metric

from algotrendy.monitoring.prometheus import figures
from brokers.models import Desk, Order
from brokers.orders.states import OPEN


@figures
def orders() -> Iterator[Metric]:
    """Yield orders by state. Final states are counted by the API and the pages; here they would grow forever."""
    gauge = GaugeMetricFamily("algotrendy_orders", "Orders that are open now, by state.", labels=["state"])
    rows = Order.objects.filter(state__in=OPEN)
    count_by_state = dict(rows.values_list("state").annotate(Count("id")).order_by())
    for state in Order.State.values:
        if state in OPEN:
            gauge.add_metric([state], count_by_state.get(state, 0))
    yield gauge


@figures
def desk() -> Iterator[Metric]:
    """Yield which state the desk is in."""
    gauge = GaugeMetricFamily("algotrendy_desk_state", "1 for the state the desk is in.", labels=["state"])
    state_now = Desk.objects.values_list("state", flat=True).first()
    for state in Desk.State.values:
        gauge.add_metric([state], 1.0 if state == state_now else 0.0)
    yield gauge
