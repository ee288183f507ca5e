"""Symbols as people, charts and exchanges write them, and what follows from a name alone. Pure."""

import re
from decimal import Decimal
from typing import NamedTuple

QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "EUR", "GBP", "JPY", "TRY", "BTC", "ETH", "BNB")
LONGEST = 64
_SEPARATORS = re.compile(r"[/\-_\s]")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.!/_-]{0,31}")
_DERIVATIVE = re.compile(r"(\.P|\.PERP|PERP|SWAP)$")


class Steps(NamedTuple):
    """Smallest price step and smallest quantity step of an instrument."""

    tick_size: Decimal
    step_size: Decimal


DEFAULT_STEPS = Steps(Decimal("0.01"), Decimal("0.00001"))
STEPS = {
    "BTCUSDT": Steps(Decimal("0.01"), Decimal("0.00001")),
    "ETHUSDT": Steps(Decimal("0.01"), Decimal("0.0001")),
    "BNBUSDT": Steps(Decimal("0.01"), Decimal("0.001")),
    "XRPUSDT": Steps(Decimal("0.0001"), Decimal("0.1")),
    "SOLUSDT": Steps(Decimal("0.01"), Decimal("0.001")),
    "ADAUSDT": Steps(Decimal("0.0001"), Decimal("0.1")),
    "DOGEUSDT": Steps(Decimal("0.00001"), Decimal(1)),
}


def candidates(text: str) -> list[str]:
    """Return the symbols that `text` may mean, most literal first.

    "BINANCE:BTCUSDT", "btcusdt", "BTC/USDT:USDT", "BTCUSDT.P" and "BTCUSDTPERP" all end with "BTCUSDT".
    Nothing is translated between currencies: BTCUSD stays BTCUSD. What can't be a symbol gives nothing.
    """
    plain = _without_exchange(text.strip().upper()[:LONGEST])
    joined = _SEPARATORS.sub("", plain)
    spellings = [plain, joined, _DERIVATIVE.sub("", joined)]
    return [name for name in dict.fromkeys(spellings) if _SYMBOL.fullmatch(name)]


def normalise(text: str) -> str:
    """Return the symbol under which an instrument called `text` is kept. Raises ValueError if none is left."""
    names = candidates(text)
    if not names:
        raise ValueError(f"{text!r} is not a symbol")
    return names[-1]


def split(symbol: str) -> tuple[str, str]:
    """Return base and quote currency of `symbol`, both empty where the name has none of the known quotes."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return "", ""


def _without_exchange(text: str) -> str:
    """Drop TradingView's "BINANCE:" in front, or ccxt's settlement currency ":USDT" at the end."""
    before, colon, after = text.partition(":")
    if not colon:
        return text
    return before if "/" in before else after
