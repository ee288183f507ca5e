"""An account at one moment, as arithmetic wants it: what it holds, has ordered, and began the day with. Pure.

`brokers.selectors.account` reads it, in one statement.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from brokers.money import ZERO
from brokers.orders.states import IN_FLIGHT

if TYPE_CHECKING:
    from brokers.models import Position


@dataclass(frozen=True, slots=True)
class Equity:
    """What a connection is worth now, in its currency. `day_pnl` counts from 00:00 UTC."""

    equity: Decimal
    cash: Decimal
    unrealised_pnl: Decimal
    day_start_equity: Decimal
    day_pnl: Decimal


class Held(NamedTuple):
    """A position as arithmetic wants it. `price` is None while there is none."""

    instrument_id: int
    quantity: Decimal
    average_price: Decimal
    realised_pnl: Decimal
    fees: Decimal
    price: Decimal | None

    @classmethod
    def of(cls, row: "Position") -> "Held":
        """Return the holding of a row whose instrument was read with its quote."""
        quote = getattr(row.instrument, "quote_now", None)
        price = None if quote is None else quote.price
        return cls(row.instrument_id, row.quantity, row.average_price, row.realised_pnl, row.fees, price)

    @property
    def last_price(self) -> Decimal:
        """The last price, else the average one."""
        return self.average_price if self.price is None else self.price

    @property
    def unrealised_pnl(self) -> Decimal:
        """The profit of closing it at the last price, before fees."""
        return self.quantity * (self.last_price - self.average_price)


class OpenOrder(NamedTuple):
    """An order that may still change what is held, with the quantity it has not filled."""

    instrument_id: int
    role: str
    side: str
    reduce_only: bool
    state: str
    left: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    """Every position, flat ones too, and the orders to which something can still happen, legs aside, oldest first.

    Legs only close what their entry opens.
    """

    starting_equity: Decimal
    holdings: tuple[Held, ...]
    orders: tuple[OpenOrder, ...]
    day_start_equity: Decimal

    def held(self, instrument_id: int) -> Held | None:
        """Return the holding of an instrument, None if there never was one. A flat one has quantity 0."""
        return next((row for row in self.holdings if row.instrument_id == instrument_id), None)

    def projected(self, instrument_id: int) -> Decimal:
        """Return the signed quantity that will be held once the orders on their way have filled.

        Orders count in the order they were made; an exit never goes beyond flat.
        """
        row = self.held(instrument_id)
        mine = (order for order in self.orders if order.instrument_id == instrument_id)
        return _after_orders(row.quantity if row else ZERO, mine)

    @property
    def in_flight(self) -> list[OpenOrder]:
        """The orders that have left and are not over."""
        return [order for order in self.orders if order.state in IN_FLIGHT]

    @property
    def open_positions(self) -> int:
        """How many instruments are held."""
        return sum(row.quantity != 0 for row in self.holdings)

    @property
    def equity(self) -> Equity:
        """By our own ledger: starting equity, realised P&L less fees, positions at the last price."""
        gain = sum((row.unrealised_pnl for row in self.holdings), ZERO)
        total = self.starting_equity + gain + sum((row.realised_pnl - row.fees for row in self.holdings), ZERO)
        value = sum((row.quantity * row.last_price for row in self.holdings), ZERO)
        return Equity(total, total - value, gain, self.day_start_equity, total - self.day_start_equity)


def _after_orders(quantity: Decimal, orders: Iterable[OpenOrder]) -> Decimal:
    for order in orders:
        left = order.left
        if order.reduce_only:
            left = min(left, max(-quantity, ZERO) if order.side == "buy" else max(quantity, ZERO))
        quantity += left if order.side == "buy" else -left
    return quantity
