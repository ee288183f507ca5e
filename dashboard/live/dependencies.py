"""Which open pages a change concerns: an order belongs to a decision, a decision to an alert, that to a source.

Senders name only what they know. The hub follows the rest, and only while somebody looks at such a page.
"""

from collections.abc import Iterable

from brokers.models import Fill
from memory.models import DecisionOrder
from webhooks.models import Alert

Ids = set[int]
# A change of the first concerns every page of the second.
FAMILIES = {"marks": "chart", "brokers": "broker", "registry": "model", "predicted": "predictions"}


def ids_of(topics: Iterable[str], name: str) -> Ids:
    """Return the ids of topics "name:ID"."""
    found = (topic.partition(":") for topic in topics)
    return {int(key) for head, _, key in found if head == name and key.isdigit()}


def related(changed: set[str], watched: set[str]) -> set[str]:
    """Return the topics among `watched` that follow from those that changed. At most four queries."""
    names = {topic.partition(":")[0] for topic in watched}
    orders, decisions = ids_of(changed, "order"), ids_of(changed, "decision")
    alerts = ids_of(changed, "alert")
    found: set[str] = set()
    if orders and names & {"decision", "alert"}:
        rows = DecisionOrder.objects.filter(order_id__in=orders)
        decisions |= set(rows.values_list("decision_id", flat=True))
    if alerts or decisions:
        found |= _from_alerts(alerts, decisions, names)
    if orders and "trade" in names:
        trades = Fill.objects.filter(order_id__in=orders).values_list("trade_id", flat=True).distinct()
        found |= {f"trade:{pk}" for pk in trades}
    found |= {f"decision:{pk}" for pk in decisions}
    for topic, name in FAMILIES.items():
        if topic in changed:
            found |= {watching for watching in watched if watching.startswith(f"{name}:")}
    return found & watched


def _from_alerts(alerts: Ids, decisions: Ids, names: set[str]) -> set[str]:
    found: set[str] = set()
    if decisions and names & {"alert", "source", "source-setup"}:
        alerts |= set(Alert.objects.filter(decision_id__in=decisions).values_list("id", flat=True))
    if alerts and names & {"source", "source-setup"}:
        for slug in Alert.objects.filter(pk__in=alerts).values_list("source__slug", flat=True).distinct():
            found |= {f"source:{slug}", f"source-setup:{slug}"}
        sources = Alert.objects.filter(pk__in=alerts).values_list("source_id", flat=True).distinct()
        found |= {topic for pk in sources for topic in (f"source:{pk}", f"source-setup:{pk}")}
    return found | {f"alert:{pk}" for pk in alerts}
