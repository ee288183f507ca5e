"""Connections to venues: what they are worth, how they are, and whether both sides agree."""

from dataclasses import dataclass, fields
from decimal import Decimal

from brokers import selectors as brokers
from brokers.models import Connection, Order
from brokers.orders.states import OPEN
from brokers.venues.paper.options import PaperOptions

PAPER_WORDS = {
    "spread_bps": ("Spread", "bps"),
    "slippage_bps": ("Slippage", "bps"),
    "fee_bps": ("Fee per execution", "bps"),
    "latency_ms": ("Latency", "ms"),
    "participation": ("Largest share of a candle's volume", ""),
    "leverage": ("Leverage", "×"),
    "max_quote_age_s": ("Oldest price for an entry (0: three candles)", "s"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in words, with its unit."""

    label: str
    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Account:
    """A connection with what is known of it now."""

    connection: Connection
    equity: brokers.Equity
    positions: int
    open_orders: int
    in_doubt: int
    settings: list[Setting]


def account_of(connection: Connection) -> Account:
    """Return a connection with its figures. Five queries."""
    open_orders = Order.objects.filter(connection=connection, state__in=OPEN)
    return Account(
        connection=connection,
        equity=brokers.equity(connection),
        positions=brokers.open_positions(connection.pk).count(),
        open_orders=open_orders.count(),
        in_doubt=open_orders.filter(state__in=Order.IN_DOUBT).count(),
        settings=paper_settings(connection),
    )


def all_accounts() -> list[Account]:
    """Return all connections, enabled first. Five queries for each: there are few."""
    rows = Connection.objects.order_by("-enabled", "id")[:20]
    return [account_of(connection) for connection in rows]


def paper_settings(connection: Connection) -> list[Setting]:
    """Return what a paper account costs, in words; nothing for other venues."""
    if connection.venue != "paper":
        return []
    options = PaperOptions.of(connection.settings)
    named = ((PAPER_WORDS.get(field.name), getattr(options, field.name)) for field in fields(options))
    return [Setting(words[0], value, words[1]) for words, value in named if words]
