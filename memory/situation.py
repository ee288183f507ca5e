"""What is known at the moment of a decision: prices, position, desk and record, all as of now."""

from datetime import datetime

from django.db.models import Sum
from django.utils import timezone

from brokers import risk
from brokers import selectors as brokers
from market import selectors as market
from market.models import MarketKind, Quote
from memory import barriers
from memory.agent import Situation
from memory.confidence import Level
from memory.models import Intent, Tally
from memory.signal import Signal


def look(signal: Signal) -> tuple[Situation, Quote | None]:
    """Return the situation of `signal` and the quote it rests on (None if the instrument has no price)."""
    quote = market.quote(signal.instrument.pk)
    desk = brokers.desk()
    equity = brokers.equity(signal.connection)
    held = brokers.projected_position(signal.connection.pk, signal.instrument.pk)
    position = brokers.position(signal.connection.pk, signal.instrument.pk)
    return Situation(
        price=quote.price if quote else None,
        sigma=_volatility(quote),
        cost=float(brokers.round_trip_cost(signal.connection)),
        position=held,
        average_price=position.average_price if position and position.quantity else held * 0,
        desk_state=brokers.effective_state(desk),
        desk_reason=desk.reason,
        limits=risk.Limits.of(desk),
        equity=equity.equity,
        day_pnl=equity.day_pnl,
        open_positions=len(brokers.open_positions(signal.connection.pk)),
        levels=record(signal.source, signal.instrument.pk, _side(signal, held > 0)),
    ), quote


def record(source: str, instrument_id: int, side: str) -> tuple[Level, ...]:
    """Return the resolved cases known now: of the desk, of the source, of its instrument and side."""
    tallies = Tally.objects.all()
    narrow = tallies.filter(source=source, instrument_id=instrument_id, side=side)
    levels = (("desk", tallies), ("source", tallies.filter(source=source)), ("instrument and side", narrow))
    return tuple(_level(name, query.aggregate(wins=Sum("wins"), cases=Sum("cases"))) for name, query in levels)


def clock(quote: Quote | None) -> tuple[datetime, str, int]:
    """Return market time, kind of market and bar length (seconds) of a quote; the wall clock without one."""
    if quote is None:
        return timezone.now(), MarketKind.IMPORTED, 300
    return quote.market_time, quote.kind, quote.timeframe


def _level(name: str, sums: dict[str, int | None]) -> Level:
    return Level(name, sums["wins"] or 0, sums["cases"] or 0)


def _side(signal: Signal, is_long: bool) -> str:
    if signal.intent != Intent.FLAT:
        return signal.intent
    return Intent.LONG if is_long else Intent.SHORT


def _volatility(quote: Quote | None) -> float | None:
    if quote is None:
        return None
    bars = market.closed_candles(
        quote.instrument_id, quote.timeframe, until=quote.market_time, count=barriers.LOOK_BACK + 1
    )
    return barriers.volatility(bars.close)
