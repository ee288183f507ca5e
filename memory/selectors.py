"""Reads of memory."""

from django.db.models import QuerySet

from memory.models import Decision, Outcome


def decisions(*, source: str = "", symbol: str = "", action: str = "") -> QuerySet[Decision]:
    """Return decisions, newest first, with instrument and outcome; optionally of one source, symbol or action."""
    found = Decision.objects.select_related("instrument", "outcome").order_by("-id")
    if source:
        found = found.filter(source=source)
    if symbol:
        found = found.filter(instrument__symbol=symbol)
    if action:
        found = found.filter(action=action)
    return found


def decision_detail(decision_id: int) -> Decision | None:
    """Return one decision with its orders, their fills and its outcome fetched, or None."""
    return (
        Decision.objects.select_related("instrument", "outcome", "outcome__trade")
        .prefetch_related("order_links__order__fills", "order_links__order__connection")
        .filter(pk=decision_id)
        .first()
    )


def unresolved() -> int:
    """Return how many outcomes still run."""
    return Outcome.objects.filter(state=Outcome.State.OPEN).count()
