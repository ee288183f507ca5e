"""Reads of memory."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import QuerySet

from market.selectors import market_now
from memory.models import Decision, Outcome

#: Bars that a decision's page shows before it, and after the end of its outcome.
BARS_BEFORE, BARS_AFTER = 120, 6
#: No decision looks further ahead (bars).
LONGEST_HORIZON = 1000
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


def shown_spans(
    instrument_id: int, timeframe: int, start: datetime, end: datetime, *, but_of: Collection[str] = ()
) -> list[tuple[datetime, datetime]]:
    """Return the stretches (market time) between `start` and `end` that pages of decisions show.

    Those of the sources `but_of` (slugs) are left out. `timeframe` is in seconds.
    """
    bar = timedelta(seconds=timeframe)
    rows = Decision.objects.filter(
        instrument_id=instrument_id, timeframe=timeframe,
        as_of__gt=start - bar * LONGEST_HORIZON, as_of__lt=end + bar * (BARS_BEFORE + 1),
    ).exclude(source__in=but_of)  # fmt: skip
    return [
        (as_of - bar * (BARS_BEFORE + 1), as_of + bar * (horizon + BARS_AFTER + 2))
        for as_of, horizon in rows.values_list("as_of", "horizon_bars")
    ]
