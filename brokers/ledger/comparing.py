"""One look at both sides: orders with their fills, and positions. What differs is returned, nothing is changed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from django.db import transaction

from algotrendy.database import sql
from brokers.contract import Broker, VenueOrder
from brokers.ledger.differences import Deals, Difference, OurOrder, of_order
from brokers.ledger.posting import SECOND_PART
from brokers.models import Connection, Fill, FillSum, Order, Position
from brokers.money import ZERO


class HeldSum(NamedTuple):
    """A position of ours, what its fills add up to, and the newest of them."""

    instrument_id: int
    symbol: str
    quantity: Decimal
    total: Decimal
    fill_id: int


_SUMS = """
    SELECT i.id, i.symbol, coalesce(held.quantity, 0), coalesce(base.quantity, 0) + coalesce(new.total, 0),
           coalesce(new.last, base.fill_id, 0)
    FROM market_instrument i
    LEFT JOIN brokers_position held ON held.instrument_id = i.id AND held.connection_id = %(connection)s
    LEFT JOIN brokers_fillsum base
      ON base.instrument_id = i.id AND base.connection_id = %(connection)s AND NOT %(full)s
    LEFT JOIN LATERAL (
        SELECT sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS total, max(id) AS last
        FROM brokers_fill
        WHERE connection_id = %(connection)s AND instrument_id = i.id AND id > coalesce(base.fill_id, 0)
    ) new ON true
    WHERE held.id IS NOT NULL OR base.id IS NOT NULL OR new.last IS NOT NULL
    ORDER BY i.symbol
"""
_KEEP_SUMS = """
    INSERT INTO brokers_fillsum (connection_id, instrument_id, fill_id, quantity)
    SELECT %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::numeric[])
    ON CONFLICT (connection_id, instrument_id) DO UPDATE
    SET fill_id = excluded.fill_id, quantity = excluded.quantity
"""


def our_orders(connection: Connection, client_ids: Iterable[str]) -> dict[str, OurOrder]:
    """Return our orders with these client ids. One query."""
    rows = Order.objects.filter(connection=connection, client_order_id__in=list(client_ids))
    orders = (OurOrder(*row) for row in rows.values_list(*OurOrder._fields))
    return {order.client_order_id: order for order in orders}


def compare_orders(
    connection: Connection, ours: Mapping[str, OurOrder], reports: Mapping[str, VenueOrder | None]
) -> dict[str, list[Difference]]:
    """Return what differs, by client id, between reports (None: the venue has no such order) and orders of ours.

    Orders whose answer may still be on its way are left out. One query.
    """
    fills = _our_fills([order.id for order in ours.values() if order.client_order_id in reports])
    rows = {key: list(of_order(ours.get(key), fills, key, report)) for key, report in reports.items()}
    return {key: differing for key, differing in rows.items() if differing}


def _our_fills(order_ids: Iterable[int]) -> dict[int, Deals]:
    """Return the executions that we have booked, by order. One that crossed zero was booked as two fills."""
    fills: dict[int, Deals] = defaultdict(dict)
    rows = Fill.objects.filter(order__in=list(order_ids))
    for order_id, trade_id, quantity, price in rows.values_list("order", "venue_trade_id", "quantity", "price"):
        key, deals = trade_id.removesuffix(SECOND_PART), fills[order_id]
        deals[key] = (deals.get(key, (ZERO, price))[0] + quantity, price)
    return fills


def compare_positions(connection: Connection, broker: Broker) -> Iterator[Difference]:
    """Yield positions that are not the venue's. Raises VenueUnavailable."""
    theirs = {held.symbol: held.quantity for held in broker.positions()}
    rows = Position.objects.filter(connection=connection).exclude(quantity=0)
    ours = dict(rows.values_list("instrument__symbol", "quantity"))
    for symbol in sorted(theirs.keys() | ours.keys()):
        here, there = ours.get(symbol, ZERO), theirs.get(symbol, ZERO)
        if here != there:
            yield Difference("position", symbol, f"{here.normalize():f}", f"{there.normalize():f}")


def compare_sums(connection: Connection, *, full: bool) -> list[Difference]:
    """Return positions of ours that their own fills don't add up to; of those that do, the sum is kept.

    Unless `full`, the fills up to a kept sum are not read again. Position and fills are read in one snapshot.
    """
    rows = [HeldSum(*row) for row in sql.named(_SUMS, {"connection": connection.pk, "full": full})]
    equal = [row for row in rows if row.quantity == row.total and row.fill_id]
    with transaction.atomic():
        if full:
            FillSum.objects.filter(connection=connection).delete()
        _keep_sums(connection, equal)
    return [
        Difference("position", row.symbol, f"{row.quantity.normalize():f}", f"{row.total.normalize():f} by fills")
        for row in rows
        if row.quantity != row.total
    ]


def _keep_sums(connection: Connection, rows: Iterable[HeldSum]) -> None:
    kept = list(rows)
    if kept:
        columns = ([getattr(row, name) for row in kept] for name in ("instrument_id", "fill_id", "total"))
        sql.change(_KEEP_SUMS, connection.pk, *columns)
