"""At what price an order trades in a candle. Pure.

The candle's range shows what was touched, not in what order; whoever could have lost, has: stops come before
targets, and a price that jumped over an order's fills at the open.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from brokers.money import against, to_tick
from brokers.venues.paper.options import PaperOptions


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed candle. Times are market time, aware UTC."""

    open_time: datetime
    timeframe: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def close_time(self) -> datetime:
        """When it became known."""
        return self.open_time + timedelta(seconds=self.timeframe)


class Match(NamedTuple):
    """A price to trade at, and the market time of it."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Resting:
    """What pricing needs to know of an order that waits at the venue."""

    side: str
    type: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    triggered: bool = False


def market_price(price: Decimal, side: str, tick: Decimal, options: PaperOptions) -> Decimal:
    """Return what a market order pays or gets at `price`: half the spread and slippage worse."""
    sign = 1 if side == "buy" else -1
    return against(price * (1 + sign * options.market_cost), tick, side)


def match(order: Resting, bar: Bar, tick: Decimal, options: PaperOptions) -> Match | None:
    """Return the price and time at which `order` trades in `bar`, None if it doesn't."""
    if order.type == "market" or order.triggered:
        return Match(market_price(bar.open, order.side, tick, options), bar.open_time)
    if order.type == "stop" and order.stop_price is not None:
        return _match_stop(order.side, order.stop_price, bar, tick, options)
    if order.type == "limit" and order.limit_price is not None:
        return _match_limit(order.side, order.limit_price, bar, tick)
    return None


def urgency(order: Resting) -> int:
    """Return the order of matching within a candle: what trades at its open, then stops, then limits."""
    if order.type == "market" or order.triggered:
        return 0
    return 1 if order.type == "stop" else 2


def _match_stop(side: str, stop: Decimal, bar: Bar, tick: Decimal, options: PaperOptions) -> Match | None:
    gapped = bar.open <= stop if side == "sell" else bar.open >= stop
    touched = bar.low <= stop if side == "sell" else bar.high >= stop
    if gapped:
        return Match(market_price(bar.open, side, tick, options), bar.open_time)
    return Match(market_price(stop, side, tick, options), bar.close_time) if touched else None


def _match_limit(side: str, limit: Decimal, bar: Bar, tick: Decimal) -> Match | None:
    gapped = bar.open >= limit if side == "sell" else bar.open <= limit
    touched = bar.high >= limit if side == "sell" else bar.low <= limit
    if gapped:
        return Match(to_tick(bar.open, tick), bar.open_time)
    return Match(to_tick(limit, tick), bar.close_time) if touched else None
