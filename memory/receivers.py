"""Receivers of the signals of brokers and market. Quick: each only nudges a worker."""

from datetime import datetime, timedelta

from algotrendy.events import nudge


def resolve_soon(instrument_id: int, **_: object) -> None:
    """Nudge the resolving of outcomes about a new candle, if any of them is open for this instrument."""
    from memory.models import Outcome

    if Outcome.objects.filter(instrument_id=instrument_id, state=Outcome.State.OPEN).exists():
        nudge("memory.resolve_outcomes", instrument_id)


def link_soon(trade_id: int, **_: object) -> None:
    """Nudge the linking of a closed trade with the outcome of its decision."""
    nudge("memory.link_trade", trade_id)


def candles_of_open_outcomes(instrument_id: int, timeframe: int, **_: object) -> datetime | None:
    """Return since when an open outcome follows an instrument's candles, with those that its page shows before."""
    from memory.models import Outcome
    from memory.selectors import BARS_BEFORE

    rows = Outcome.objects.filter(instrument_id=instrument_id, state=Outcome.State.OPEN).order_by("starts_at")
    first = rows.values_list("starts_at", flat=True).first()
    return None if first is None else first - timedelta(seconds=timeframe * BARS_BEFORE)
