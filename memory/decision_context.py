"""What is known at the moment of a decision: prices, position, desk and record, all as of now."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from brokers import risk
from brokers import selectors as brokers
from brokers.models import Desk
from brokers.money import ZERO
from market import selectors as market
from market.models import MarketKind, Quote
from memory import barriers
from memory.agent import DecisionContext
from memory.confidence import Level
from memory.intents import Intent
from memory.trade_signal import TradeSignal
from mlmodels.inference.latest import latest_prediction
from mlmodels.inference.values import LatestPrediction


class Situation(NamedTuple):
    """What the agent decides on, the quote it rests on (None if the instrument has no price), and the desk."""

    context: DecisionContext
    quote: Quote | None
    desk: Desk


def gather(signal: TradeSignal) -> Situation:
    """Return the situation of `signal`."""
    quote = market.quote(signal.instrument.pk)
    desk = brokers.desk()
    account = brokers.account(signal.connection)
    equity, held = account.equity, account.held(signal.instrument.pk)
    projected = account.projected(signal.instrument.pk)
    context = DecisionContext(
        price=quote.price if quote else None,
        sigma=_volatility(quote),
        cost=float(brokers.round_trip_cost(signal.connection)),
        position=projected,
        average_price=held.average_price if held and held.quantity else ZERO,
        desk_state=brokers.effective_state(desk),
        desk_reason=desk.reason,
        limits=risk.Limits.of(desk),
        equity=equity.equity,
        day_pnl=equity.day_pnl,
        open_positions=account.open_positions,
        levels=record(signal.source, signal.instrument.pk, _side(signal, projected > 0)),
        prediction=_prediction(quote),
    )
    return Situation(context, quote, desk)


_RECORD = """
    SELECT sum(wins), sum(cases), sum(wins) FILTER (WHERE source = %(source)s),
           sum(cases) FILTER (WHERE source = %(source)s),
           sum(wins) FILTER (WHERE source = %(source)s AND instrument_id = %(instrument)s AND side = %(side)s),
           sum(cases) FILTER (WHERE source = %(source)s AND instrument_id = %(instrument)s AND side = %(side)s)
    FROM memory_tally
"""


def record(source: str, instrument_id: int, side: str) -> tuple[Level, ...]:
    """Return the resolved cases known now: of the desk, of the source, of its instrument and side."""
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, {"source": source, "instrument": instrument_id, "side": str(side)})
        sums = [int(value or 0) for value in cursor.fetchone()]
    names = ("desk", "source", "instrument and side")
    return tuple(Level(name, *sums[2 * number : 2 * number + 2]) for number, name in enumerate(names))


def clock(quote: Quote | None) -> tuple[datetime, str, int]:
    """Return market time, kind of market and bar length (seconds) of a quote; the wall clock without one."""
    if quote is None:
        return timezone.now(), MarketKind.IMPORTED, 300
    return quote.market_time, quote.kind, quote.timeframe


def _side(signal: TradeSignal, is_long: bool) -> str:
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


def _prediction(quote: Quote | None) -> LatestPrediction | None:
    if quote is None:
        return None
    return latest_prediction(quote.instrument_id, quote.timeframe, quote.kind, quote.market_time)
