"""Comparing our books with a venue's: orders, fills, and positions over the union of symbols."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from django.db.models import Sum

from brokers.contract import Broker, VenueOrder
from brokers.ledger.posting import SECOND_PART
from brokers.models import Connection, Fill, Order, Position
from brokers.money import ZERO
from brokers.orders import states
from brokers.venues import registry

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the venue and we don't agree on. `key` is a client order id, a trade id or a symbol."""

    kind: Literal["order", "fill", "position", "external"]
    key: str
    ours: str
    theirs: str

    @property
    def text(self) -> str:
        """The difference as a sentence."""
        return f"{self.kind} {self.key}: here {self.ours}, at the venue {self.theirs}"


def differences(connection: Connection) -> list[Difference]:
    """Return all differences between our books and the venue's; none means that they agree.

    Orders that are just being sent are left out. Raises VenueUnavailable when the venue can't be read.
    """
    broker = registry.adapter(connection)
    reports = _all_reports(broker)
    rows = list(_missing_there(connection, reports))
    ids = list(reports)
    for start in range(0, len(ids), CHUNK):
        chunk = [reports[client_id] for client_id in ids[start : start + CHUNK]]
        rows += _compare_orders(connection, chunk)
        rows += _compare_fills(connection, chunk)
    return rows + list(_compare_positions(connection, broker))


def _all_reports(broker: Broker) -> dict[str, VenueOrder]:
    reports: dict[str, VenueOrder] = {}
    cursor = 0
    while True:
        updates = broker.updates(cursor)
        reports.update((order.client_order_id, order) for order in updates.orders)
        if updates.cursor == cursor:
            return reports
        cursor = updates.cursor


def _missing_there(connection: Connection, reports: dict[str, VenueOrder]) -> Iterator[Difference]:
    """Yield our orders that must be at the venue and are not. What never left is nobody's difference."""
    left = Order.objects.filter(connection=connection, state__in=states.TAKEN)
    for client_id, state in left.values_list("client_order_id", "state").iterator():
        if client_id not in reports:
            yield Difference("order", client_id, state, "unknown")


def _compare_orders(connection: Connection, reports: Iterable[VenueOrder]) -> Iterator[Difference]:
    by_id = {order.client_order_id: order for order in reports}
    rows = Order.objects.filter(connection=connection, client_order_id__in=by_id)
    ours = {order.client_order_id: order for order in rows}
    for client_id, theirs in by_id.items():
        order = ours.get(client_id)
        if order is None:
            yield Difference("external", client_id, "unknown", theirs.state)
        elif order.state not in states.UNANSWERED and not _agrees(order, theirs):
            yield Difference("order", client_id, order.state, theirs.state)


def _agrees(order: Order, theirs: VenueOrder) -> bool:
    """Return whether the venue's report would change nothing."""
    if order.state == theirs.state:
        return True
    filled = sum((execution.quantity for execution in theirs.executions), ZERO)
    # A leg that its entry's end cancelled here was never sent there, and the other way round.
    return (
        order.state in states.FINAL
        and states.state_after(order.state, theirs.state, filled, order.quantity) == (order.state)
        and theirs.state in states.FINAL
    )


def _compare_fills(connection: Connection, reports: Iterable[VenueOrder]) -> Iterator[Difference]:
    theirs = {
        execution.venue_trade_id: (execution.quantity, execution.price)
        for order in reports
        for execution in order.executions
    }
    client_ids = [order.client_order_id for order in reports]
    ours: dict[str, tuple[Decimal, Decimal]] = {}
    rows = Fill.objects.filter(connection=connection, order__client_order_id__in=client_ids)
    for trade_id, quantity, price in rows.values_list("venue_trade_id", "quantity", "price"):
        key = trade_id.removesuffix(SECOND_PART)
        ours[key] = (ours.get(key, (ZERO, price))[0] + quantity, price)
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key) != ours.get(key):
            yield Difference("fill", key, _deal(ours.get(key)), _deal(theirs.get(key)))


def _compare_positions(connection: Connection, broker: Broker) -> Iterator[Difference]:
    theirs = {held.symbol: held.quantity for held in broker.positions()}
    rows = Position.objects.filter(connection=connection).exclude(quantity=0)
    ours = dict(rows.values_list("instrument__symbol", "quantity"))
    for symbol in sorted(theirs.keys() | ours.keys()):
        here, there = ours.get(symbol, ZERO), theirs.get(symbol, ZERO)
        if here != there:
            yield Difference("position", symbol, f"{here.normalize():f}", f"{there.normalize():f}")
    yield from _own_sums(connection, ours)


def _own_sums(connection: Connection, ours: dict[str, Decimal]) -> Iterator[Difference]:
    """Yield positions of ours that their own fills don't add up to."""
    rows = Fill.objects.filter(connection=connection).values_list("instrument__symbol", "side")
    total: dict[str, Decimal] = {}
    for symbol, side, quantity in rows.annotate(total=Sum("quantity")).order_by():
        total[symbol] = total.get(symbol, ZERO) + (quantity if side == "buy" else -quantity)
    for symbol in sorted(total.keys() | ours.keys()):
        if total.get(symbol, ZERO) != ours.get(symbol, ZERO):
            yield Difference(
                "position", symbol, f"{ours.get(symbol, ZERO):f}", f"{total.get(symbol, ZERO):f} by fills"
            )


def _deal(deal: tuple[Decimal, Decimal] | None) -> str:
    return "missing" if deal is None else f"{deal[0].normalize():f} at {deal[1].normalize():f}"
