"""Reads of memory."""

from django.db.models import QuerySet

from market.selectors import market_now
from memory.models import Decision, Outcome

# What pages and the API show beside a decision; the market's own now decides whether its outcome is shown.
BESIDE = ("instrument__quote_now", "instrument__feed", "outcome")


def decisions(*, source: str = "", symbol: str = "", action: str = "") -> QuerySet[Decision]:
    """Return decisions, newest first, with instrument and outcome; optionally of one source, symbol or action."""
    rows = Decision.objects.select_related(*BESIDE).order_by("-id")
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
        Decision.objects.select_related(*BESIDE, "outcome__trade")
        .prefetch_related("order_links__order__fills", "order_links__order__connection")
        .filter(pk=decision_id)
        .first()
    )


def known_outcome(decision: Decision) -> Outcome | None:
    """Return a decision's outcome unless it lies ahead of the market's own now: of a replay that was set back.

    No query where `BESIDE` was fetched along.
    """
    outcome: Outcome | None = getattr(decision, "outcome", None)
    if outcome is None or outcome.exit_at is None or outcome.exit_at <= market_now(decision.instrument):
        return outcome
    return None
