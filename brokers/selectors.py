"""What others may ask of the brokers. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.utils import timezone

from brokers.models import Connection, Desk, EquityMark, Order, Position
from brokers.paper.options import PaperOptions
from brokers.states import OPEN

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Equity:
    """What a connection is worth now, in its currency. `day_pnl` counts from 00:00 UTC."""

    equity: Decimal
    cash: Decimal
    unrealised_pnl: Decimal
    day_start_equity: Decimal
    day_pnl: Decimal


def desk() -> Desk:
    """Return the desk, made with its defaults when this is its first use."""
    return Desk.objects.filter(pk=1).first() or Desk.objects.get_or_create(pk=1)[0]


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


def in_doubt(connection_id: int, instrument_id: int) -> bool:
    """Return whether an order of this instrument may or may not be at the venue."""
    return open_orders(connection_id, instrument_id).filter(state__in=Order.IN_DOUBT).exists()


def projected_position(connection_id: int, instrument_id: int) -> Decimal:
    """Return the signed quantity that will be held once the orders on their way have filled, legs aside.

    Orders count in the order they were made; an exit never goes beyond flat.
    """
    held = position(connection_id, instrument_id)
    quantity = held.quantity if held else ZERO
    for order in open_orders(connection_id, instrument_id).filter(parent=None):
        left = order.quantity - order.filled_quantity
        if order.reduce_only:
            left = min(left, max(-quantity, ZERO) if order.side == "buy" else max(quantity, ZERO))
        quantity += left if order.side == "buy" else -left
    return quantity


def exposure(connection_id: int, *, without: int | None = None) -> dict[int, Decimal]:
    """Return the quantity held or being entered (never negative) by instrument id, flat ones left out.

    Entries that have not been claimed yet don't count; order `without` doesn't either.
    """
    entries = Order.objects.filter(
        connection_id=connection_id, role=Order.Role.ENTRY, state__in=OPEN - {Order.State.PENDING}
    ).exclude(pk=without or 0)
    held = Position.objects.filter(connection_id=connection_id).exclude(quantity=0)
    total = {row.instrument_id: abs(row.quantity) for row in held}
    for entry in entries:
        left = entry.quantity - entry.filled_quantity
        total[entry.instrument_id] = total.get(entry.instrument_id, ZERO) + left
    return total


def price_of(held: Position) -> Decimal:
    """Return the last price of what is held; its average price when the market has said nothing yet."""
    quote = getattr(held.instrument, "quote_now", None)
    return quote.price if quote is not None else held.average_price


def unrealised(held: Position) -> Decimal:
    """Return the profit of closing `held` at the last price, before fees."""
    return held.quantity * (price_of(held) - held.average_price)


def equity(connection: Connection) -> Equity:
    """Return equity by our own ledger: starting equity, realised P&L less fees, positions at the last price."""
    held = list(Position.objects.filter(connection=connection).select_related("instrument__quote_now"))
    return _equity(connection, held, day_start_equity(connection))


def day_start_equity(connection: Connection, now: datetime | None = None) -> Decimal:
    """Return the equity at the last 00:00 UTC: the last mark before it, else what the account started with."""
    midnight = (now or timezone.now()).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    marks = EquityMark.objects.filter(connection=connection, at__lte=midnight).order_by("-at")
    last = marks.values_list("equity", flat=True).first()
    return connection.starting_equity if last is None else last


def _equity(connection: Connection, held: Iterable[Position], day_start: Decimal) -> Equity:
    realised = value = gain = ZERO
    for row in held:
        realised += row.realised_pnl - row.fees
        value += row.quantity * price_of(row)
        gain += unrealised(row)
    total = connection.starting_equity + realised + gain
    return Equity(total, total - value, gain, day_start, total - day_start)


def round_trip_cost(connection: Connection) -> Decimal:
    """Return what entering and leaving at market costs on a connection, as a fraction of the price."""
    return PaperOptions.of(connection.settings).round_trip
