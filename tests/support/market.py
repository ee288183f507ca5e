"""Shortcuts for tests of everything that needs a price."""

from datetime import datetime
from decimal import Decimal

from market.models import Instrument, MarketKind
from market.services import NewQuote, set_quotes

NOW = 1_790_000_000.0  # a multiple of 5 s


class Clock:
    """Wall time under the test's control, in epoch seconds."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def set_quote(
    *, instrument: Instrument, price: Decimal | int, timeframe: int, kind: MarketKind, market_time: datetime
) -> None:
    """Set the last known price of one instrument. `timeframe` is in seconds."""
    quotes = [NewQuote(instrument.id, Decimal(price), market_time)]
    set_quotes(quotes=quotes, timeframe=timeframe, kind=kind)
