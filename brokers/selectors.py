"""What others may ask of the brokers. Reads only."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.utils import timezone

from algotrendy.database import sql
from brokers.account import Account, Equity, Held, OpenOrder
from brokers.contract import BrokerError, Setting
from brokers.models import Connection, Desk, Order, Position
from brokers.orders.states import OPEN
from brokers.venues import registry


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
    return sql.first(Position, "WHERE connection_id = %s AND instrument_id = %s", connection_id, instrument_id)


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


def open_with_role(role: str, connection_id: int, instrument_id: int) -> list[Order]:
    """Return the orders of an instrument in one role to which something can still happen, oldest first."""
    where = "WHERE connection_id = %s AND instrument_id = %s AND role = %s AND state = ANY(%s) ORDER BY id"
    return sql.rows(Order, where, connection_id, instrument_id, str(role), sorted(OPEN))


def price_of(held: Position) -> Decimal:
    """Return the last price of what is held; its average price when there is none yet."""
    return Held.of(held).last_price


def unrealised(held: Position) -> Decimal:
    """Return the profit of closing `held` at the last price, before fees."""
    return Held.of(held).unrealised_pnl


_HELD, _ORDERED = 1, 2  # kinds of rows of the statement below; 3 is the mark that the day began with
_ACCOUNT = """
    SELECT 1, held.id, held.instrument_id, held.quantity, held.average_price, held.realised_pnl, held.fees,
           quote.price, '', '', false, ''
    FROM brokers_position held LEFT JOIN market_quote quote USING (instrument_id)
    WHERE held.connection_id = %s
    UNION ALL
    SELECT 2, id, instrument_id, quantity - filled_quantity, 0, 0, 0, NULL, role, side, reduce_only, state
    FROM brokers_order
    WHERE connection_id = %s AND state = ANY(%s) AND parent_id IS NULL
    UNION ALL
    (SELECT 3, id, 0, equity, 0, 0, 0, NULL, '', '', false, '' FROM brokers_equitymark
    WHERE connection_id = %s AND at <= %s ORDER BY at DESC LIMIT 1)
    ORDER BY 1, 2
"""


def account(connection: Connection, now: datetime | None = None) -> Account:
    """Return what a connection holds, what it has ordered and what its day began with.

    One statement, so one moment: a fill moves its order and its position in one transaction, and whoever read the
    one before it and the other after it would count the fill twice, or not at all.
    """
    midnight = (now or timezone.now()).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = sql.values(_ACCOUNT, connection.pk, connection.pk, sorted(OPEN), connection.pk, midnight)
    held, orders, day_start = [], [], connection.starting_equity
    for kind, _, instrument_id, amount, *numbers, role, side, reduce_only, state in rows:
        if kind == _HELD:
            held.append(Held(instrument_id, amount, *numbers))
        elif kind == _ORDERED:
            orders.append(OpenOrder(instrument_id, role, side, reduce_only, state, amount))
        else:
            day_start = amount
    return Account(connection.starting_equity, tuple(held), tuple(orders), day_start)


def equity(connection: Connection) -> Equity:
    """Return equity by our own ledger: starting equity, realised P&L less fees, positions at the last price."""
    return account(connection).equity


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
