"""The decision stream of the desk: one line each."""

from memory.models import Decision
from memory.selectors import BESIDE

LINES = 30


def newest_symbol() -> str:
    """Return the symbol that was decided on last; empty before the first decision."""
    return Decision.objects.order_by("-id").values_list("instrument__symbol", flat=True).first() or ""


def newest_decisions(count: int = LINES) -> list[Decision]:
    """Return the newest decisions with instrument, outcome and the outcome's trade. One query."""
    rows = Decision.objects.select_related(*BESIDE, "outcome__trade").defer("evidence")
    return list(rows.order_by("-id")[:count])
