"""The decision stream of the desk: one line each."""

from memory.models import Decision

LINES = 30


def newest_decisions(count: int = LINES) -> list[Decision]:
    """Return the newest decisions with instrument, outcome and the outcome's trade. One query."""
    rows = Decision.objects.select_related("instrument", "outcome", "outcome__trade").defer("evidence")
    return list(rows.order_by("-id")[:count])
