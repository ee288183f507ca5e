"""Connections, orders and the ledger that follows from their fills."""

from brokers.models.desk import Connection, Desk
from brokers.models.ledger import EquityMark, Fill, Position, Trade
from brokers.models.orders import Order

__all__ = ["Connection", "Desk", "EquityMark", "Fill", "Order", "Position", "Trade"]
