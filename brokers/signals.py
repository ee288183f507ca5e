"""What the brokers announce upwards, after commit. Receivers must be quick."""

from django.dispatch import Signal

# order_id: int, state: str
order_changed = Signal()
# fill_id: int, order_id: int
fill_recorded = Signal()
# trade_id: int
trade_closed = Signal()
# state: str
desk_changed = Signal()
# connection_id: int
equity_marked = Signal()
