"""Receivers of the signals of brokers and market. Quick: each only nudges a worker."""

from algotrendy.events import nudge


def resolve_soon(instrument_id: int, **_: object) -> None:
    """Nudge the resolving of outcomes about a new candle, if any of them is open for this instrument."""
    from memory.models import Outcome

    if Outcome.objects.filter(instrument_id=instrument_id, state=Outcome.State.OPEN).exists():
        nudge("memory.resolve_outcomes", instrument_id)


def link_soon(trade_id: int, **_: object) -> None:
    """Nudge the linking of a closed trade with the outcome of its decision."""
    nudge("memory.link_trade", trade_id)
