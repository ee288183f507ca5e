"""Thin tasks of memory: nudged by candles, swept by beat."""

from celery import shared_task

from algotrendy.isolation.rows import each
from brokers.models import Trade
from market.models import Instrument
from memory import outcomes


@shared_task(name="memory.resolve_outcomes")
def resolve_outcomes(instrument_id: int) -> int:
    """Resolve open outcomes of one instrument."""
    return sum(each(outcomes.RESOLVE, [instrument_id], outcomes.resolve, model=Instrument))


@shared_task(name="memory.resolve_all")
def resolve_all() -> int:
    """Resolve open outcomes of all instruments: finds what a lost nudge left."""
    return outcomes.resolve_all()


@shared_task(name="memory.link_trade")
def link_trade(trade_id: int) -> int:
    """Point the outcomes behind a closed trade to it."""
    return sum(each(outcomes.LINK, [trade_id], outcomes.link_trade, model=Trade))
