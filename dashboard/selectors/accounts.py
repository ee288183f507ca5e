"""Connections to venues: what they are worth, how they are, and whether both sides agree."""

from collections.abc import Sequence
from dataclasses import dataclass

from brokers import selectors as brokers
from brokers.account import Equity
from brokers.contract import Setting
from brokers.models import Connection, Order
from brokers.orders.states import OPEN


@dataclass(frozen=True, slots=True)
class Account:
    """A connection with what is known of it now."""

    connection: Connection
    equity: Equity
    positions: int
    open_orders: int
    in_doubt: int
    settings: Sequence[Setting]


def account_of(connection: Connection) -> Account:
    """Return a connection with its figures. Five queries."""
    open_orders = Order.objects.filter(connection=connection, state__in=OPEN)
    return Account(
        connection=connection,
        equity=brokers.equity(connection),
        positions=brokers.open_positions(connection.pk).count(),
        open_orders=open_orders.count(),
        in_doubt=open_orders.filter(state__in=Order.IN_DOUBT).count(),
        settings=brokers.settings_summary(connection),
    )


def all_accounts() -> list[Account]:
    """Return all connections, enabled first. Five queries for each: there are few."""
    rows = Connection.objects.order_by("-enabled", "id")[:20]
    return [account_of(connection) for connection in rows]
