"""What others may ask of the brokers. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from brokers import sql
from brokers.contract import BrokerError, Setting
from brokers.models import Connection, Desk, Order, Position
from brokers.money import ZERO
from brokers.orders.states import IN_FLIGHT, OPEN
from brokers.venues import registry


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
    def of(cls, row: Position) -> "Held":
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


def desk() -> Desk:
    """Return the desk, made with its defaults when this is its first use."""
    return sql.first(Desk, "WHERE id = 1") or Desk.objects.get_or_create(pk=1)[0]


def effective_state(row: Desk, now: datetime | None = None) -> str:
    """Return the state that counts at `now` (wall time): one whose `until` has passed is over."""
    if row.until is not None and row.until <= (now or timezone.now()):
        return Desk.State.ACTIVE
    return row.state


def position(connection_id: int, instrument_id: int) -> Position | None:
    """Return the holding, or None if there never was one. A flat one has quantity 0."""
    return Position.objects.filter(connection_id=connection_id, instrument_id=instrument_id).first()


def open_positions(connection_id: int | None = None) -> QuerySet[Position]:
    """Return positions that are not flat, of one connection or of all, with instrument, quote and trade."""
    rows = Position.objects.exclude(quantity=0).select_related("connection", "instrument__quote_now", "trade")
    if connection_id is not None:
        rows = rows.filter(connection_id=connection_id)
    return rows.order_by("instrument__symbol")


def open_orders(connection_id: int, instrument_id: int) -> QuerySet[Order]:
    """Return the orders of an instrument to which something can still happen, oldest first."""
    rows = Order.objects.filter(connection_id=connection_id, instrument_id=instrument_id, state__in=OPEN)
    return rows.order_by("id")


def projected_position(connection_id: int, instrument_id: int, held: Decimal | None = None) -> Decimal:
    """Return the signed quantity that will be held once the orders on their way have filled, legs aside.

    Orders count in the order they were made; an exit never goes beyond flat. `held` saves a query to whoever has
    read what is held now.
    """
    if held is None:
        row = position(connection_id, instrument_id)
        held = row.quantity if row else ZERO
    return _after_orders(held, _orders_in(OPEN, connection_id, instrument_id))


def in_flight(connection_id: int) -> list[OpenOrder]:
    """Return the orders of a connection that have left and are not over, legs aside, oldest first."""
    return _orders_in(IN_FLIGHT, connection_id)


def _orders_in(states: frozenset[str], connection_id: int, instrument_id: int | None = None) -> list[OpenOrder]:
    """Return the orders in `states`, oldest first. Legs only close what their entry opens, and are left out."""
    query = """
        SELECT instrument_id, role, side, reduce_only, state, quantity - filled_quantity FROM brokers_order
        WHERE connection_id = %s AND state = ANY(%s) AND parent_id IS NULL
    """
    params: list[object] = [connection_id, sorted(states)]
    if instrument_id is not None:
        query, params = f"{query} AND instrument_id = %s", [*params, instrument_id]
    return [OpenOrder(*row) for row in sql.values(f"{query} ORDER BY id", *params)]


def _after_orders(quantity: Decimal, orders: Sequence[OpenOrder]) -> Decimal:
    for order in orders:
        left = order.left
        if order.reduce_only:
            left = min(left, max(-quantity, ZERO) if order.side == "buy" else max(quantity, ZERO))
        quantity += left if order.side == "buy" else -left
    return quantity


def price_of(held: Position) -> Decimal:
    """Return the last price of what is held; its average price when there is none yet."""
    return Held.of(held).last_price


def unrealised(held: Position) -> Decimal:
    """Return the profit of closing `held` at the last price, before fees."""
    return Held.of(held).unrealised_pnl


def holdings(connection_id: int) -> list[Held]:
    """Return every position of a connection, flat ones too, with its last price."""
    query = """
        SELECT held.instrument_id, held.quantity, held.average_price, held.realised_pnl, held.fees, quote.price
        FROM brokers_position held LEFT JOIN market_quote quote USING (instrument_id) WHERE connection_id = %s
    """
    return [Held(*row) for row in sql.values(query, connection_id)]


def equity(connection: Connection, held: Sequence[Held] | None = None) -> Equity:
    """Return equity by our own ledger: starting equity, realised P&L less fees, positions at the last price.

    `held` saves a query to whoever has read the holdings already.
    """
    held = holdings(connection.pk) if held is None else held
    day_start = day_start_equity(connection)
    gain = sum((row.unrealised_pnl for row in held), ZERO)
    total = connection.starting_equity + gain + sum((row.realised_pnl - row.fees for row in held), ZERO)
    value = sum((row.quantity * row.last_price for row in held), ZERO)
    return Equity(total, total - value, gain, day_start, total - day_start)


def day_start_equity(connection: Connection, now: datetime | None = None) -> Decimal:
    """Return the equity at the last 00:00 UTC: the last mark before it, else what the account started with."""
    midnight = (now or timezone.now()).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    query = "SELECT equity FROM brokers_equitymark WHERE connection_id = %s AND at <= %s ORDER BY at DESC LIMIT 1"
    last: list[tuple[Decimal]] = sql.values(query, connection.pk, midnight)
    return last[0][0] if last else connection.starting_equity


def round_trip_cost(connection: Connection) -> Decimal:
    """Return what entering and leaving at market costs on a connection, as a fraction of the price. No query.

    Raises BrokerError for a venue that nobody has written: any number would be a guess.
    """
    return registry.adapter(connection).round_trip_cost()


def settings_summary(connection: Connection) -> Sequence[Setting]:
    """Return an account's settings in words; nothing for a venue that nobody has written. No query."""
    try:
        return registry.adapter(connection).settings_summary()
    except BrokerError:
        return ()
