"""Connections, orders and the ledger that follows from their fills."""

from brokers.models.comparison import Comparison, FillSum
from brokers.models.desk import Connection, Desk
from brokers.models.ledger import EquityMark, Fill, Position, Trade
from brokers.models.orders import Order

__all__ = [
    "Comparison", "Connection", "Desk", "EquityMark", "Fill", "FillSum", "Order", "Position", "Trade",
]  # fmt: skip
