"""The public side of an exchange through ccxt: the server's clock and candles. No keys, no orders."""

import time
from typing import Any, Protocol, cast

from market.bars import timeframe_text

Row = list[Any]  # open time in ms, open, high, low, close, volume
PAGE = 1_000
MOST_PAGES = 20
TIME_OUT_MS = 10_000
SKEW_FOR = 3_600.0


class Exchange(Protocol):
    """The part of a ccxt exchange that candles need."""

    has: dict[str, object]

    def fetch_time(self) -> int:
        """Return the server's clock in milliseconds since 1970."""

    def fetch_ohlcv(self, symbol: str, timeframe: str, *, since: int, limit: int) -> list[Row]:
        """Return at most `limit` candles from `since` (milliseconds) on."""


class Venue:
    """An exchange by its ccxt name; `url` replaces the address of its public API (a mirror, a test)."""

    def __init__(self, name: str, url: str = "", exchange: Exchange | None = None) -> None:
        self.name = name
        self.url = url
        self._exchange = exchange
        self._skew = 0.0
        self._skew_until = float("-inf")

    @property
    def exchange(self) -> Exchange:
        """The ccxt object, made at first use because importing ccxt takes a second and much memory."""
        if self._exchange is None:
            self._exchange = _make(self.name, self.url)
        return self._exchange

    def server_time(self) -> float:
        """Return the venue's clock in seconds since 1970; our own where it publishes none."""
        if time.monotonic() > self._skew_until:
            self._skew = 0.0
            if self.exchange.has.get("fetchTime"):
                self._skew = self.exchange.fetch_time() / 1000 - time.time()
            self._skew_until = time.monotonic() + SKEW_FOR
        return time.time() + self._skew

    def candles(self, market: str, timeframe: int, since: int, until: int) -> tuple[list[Row], bool]:
        """Return rows with open times from `since` to `until` (seconds), oldest first, and whether that is all.

        The last row may be the forming bar. Raises what ccxt raises.
        """
        rows: list[Row] = []
        start = since * 1000
        for _ in range(MOST_PAGES):
            page = self.exchange.fetch_ohlcv(market, timeframe_text(timeframe), since=start, limit=PAGE)
            fresh = [row for row in page if _has_time(row) and row[0] >= start]
            rows += fresh
            if not fresh or fresh[-1][0] + timeframe * 1000 > until * 1000:
                return [row for row in rows if row[0] <= until * 1000], True
            start = fresh[-1][0] + timeframe * 1000
        return rows, False


def _has_time(row: Row) -> bool:
    """Return whether a row says when it opened; one that does not must not cost the others."""
    return bool(row) and isinstance(row[0], int | float)


def _make(name: str, url: str) -> Exchange:
    import ccxt

    if name not in ccxt.exchanges:
        raise ValueError(f"ccxt knows no exchange {name!r}")
    options = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
    exchange = getattr(ccxt, name)({"enableRateLimit": True, "timeout": TIME_OUT_MS, "options": options})
    if url:
        exchange.urls["api"] = dict.fromkeys(_flat(exchange.urls["api"]), url)
    return cast(Exchange, exchange)


def _flat(urls: object) -> list[str]:
    return list(urls) if isinstance(urls, dict) else ["public"]
