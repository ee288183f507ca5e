"""Reads of memory."""

from django.db.models import QuerySet

from memory.models import Decision


def decisions(*, source: str = "", symbol: str = "", action: str = "") -> QuerySet[Decision]:
    """Return decisions, newest first, with instrument and outcome; optionally of one source, symbol or action."""
    rows = Decision.objects.select_related("instrument", "outcome").order_by("-id")
    if source:
        rows = rows.filter(source=source)
    if symbol:
        rows = rows.filter(instrument__symbol=symbol)
    if action:
        rows = rows.filter(action=action)
    return rows


def decision_detail(decision_id: int) -> Decision | None:
    """Return one decision with its orders, their fills and its outcome fetched, or None."""
    return (
        Decision.objects.select_related("instrument", "outcome", "outcome__trade")
        .prefetch_related("order_links__order__fills", "order_links__order__connection")
        .filter(pk=decision_id)
        .first()
    )
