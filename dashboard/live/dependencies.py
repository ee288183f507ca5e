"""Which open pages a change concerns: an order belongs to a decision, a decision to an alert, that to a source.

Senders name only what they know. The hub follows the rest, and only while somebody looks at such a page.
"""

from collections.abc import Iterable

from brokers.models import Fill
from dashboard.live import topics
from dashboard.live.topics import Topic, id_of, parse_topic, topic
from memory.models import DecisionOrder
from webhooks.models import Alert

Ids = set[int]
#: A change of the first concerns every page of the second.
FAMILIES: dict[Topic, Topic] = {
    topics.MARKS: topics.CHART,
    topics.BROKERS: topics.BROKER,
    topics.REGISTRY: topics.MODEL,
    topics.PREDICTED: topics.PREDICTIONS,
}
OF_SOURCES = frozenset({topics.SOURCE, topics.SOURCE_SETUP})


def ids_of(changed: Iterable[str], name: Topic) -> Ids:
    """Return the ids of topics "name:ID"."""
    keys = [key for head, key in map(parse_topic, changed) if head == name]
    return {number for number in map(id_of, keys) if number is not None}


def related(changed: set[str], watched: set[str]) -> set[str]:
    """Return the topics among `watched` that follow from those that changed. At most four queries."""
    names = {parse_topic(text)[0] for text in watched}
    orders, decisions = ids_of(changed, topics.ORDER), ids_of(changed, topics.DECISION)
    alerts = ids_of(changed, topics.ALERT)
    affected: set[str] = set()
    if orders and names & {topics.DECISION, topics.ALERT}:
        rows = DecisionOrder.objects.filter(order_id__in=orders)
        decisions |= set(rows.values_list("decision_id", flat=True))
    if alerts or decisions:
        affected |= _from_alerts(alerts, decisions, names)
    if orders and topics.TRADE in names:
        trades = Fill.objects.filter(order_id__in=orders).values_list("trade_id", flat=True).distinct()
        affected |= {topic(topics.TRADE, pk) for pk in trades}
    affected |= {topic(topics.DECISION, pk) for pk in decisions}
    for cause, family in FAMILIES.items():
        if cause in changed:
            affected |= {text for text in watched if parse_topic(text)[0] == family}
    return affected & watched


def _from_alerts(alerts: Ids, decisions: Ids, names: set[str]) -> set[str]:
    affected: set[str] = set()
    if decisions and names & {topics.ALERT, *OF_SOURCES}:
        alerts |= set(Alert.objects.filter(decision_id__in=decisions).values_list("id", flat=True))
    if alerts and names & OF_SOURCES:
        for slug in Alert.objects.filter(pk__in=alerts).values_list("source__slug", flat=True).distinct():
            affected |= {topic(name, slug) for name in OF_SOURCES}
        sources = Alert.objects.filter(pk__in=alerts).values_list("source_id", flat=True).distinct()
        affected |= {topic(name, pk) for pk in sources for name in OF_SOURCES}
    return affected | {topic(topics.ALERT, pk) for pk in alerts}
