"""The ledger: a venue's report of an order becomes fills, and order, position and trade follow from them.

Everything of one report is in one transaction. Locks are taken in one order everywhere: connection, then
positions by instrument, then an order and its legs; so two writers never wait for each other in a ring.
"""

import logging
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils import timezone

from algotrendy.database import sql
from algotrendy.events import nudge_after_commit
from brokers import task_names
from brokers.contract import Execution, VenueOrder
from brokers.ledger import pnl
from brokers.ledger.pnl import Deal
from brokers.ledger.posting import deals_of, lock_position, post_execution, save_position
from brokers.models import Connection, Fill, Order, Position
from brokers.money import ZERO
from brokers.orders import late_fills, states
from brokers.orders.transitions import OrderValues, accept_legs, announce_order, end_legs, transition

logger = logging.getLogger(__name__)


class LedgerConflict(Exception):
    """The venue's executions can't be true of our order (more than ordered, another side): a person must look."""


def record(connection: Connection, venue_order: VenueOrder) -> Order | None:
    """Record the venue's report of one order; return it as it is now, None if nobody here placed it.

    The same report again changes nothing. Raises LedgerConflict when it fills more than was ordered.
    """
    order = _orders_of(connection, [venue_order]).get(venue_order.client_order_id)
    if order is None:
        return None
    with transaction.atomic():
        return record_order(order, venue_order)


def record_order(order: Order, venue_order: VenueOrder) -> Order:
    """Record the venue's report of this order of ours, in the caller's transaction; return it as it is now.

    Raises LedgerConflict.
    """
    held = lock_position(order.connection_id, order.instrument_id)
    # Read below the lock: only its holder books fills, and changes of state are claims.
    order = _read(order.pk)
    _apply_report(order, held, venue_order)
    return order


def record_or_review(order: Order, report: VenueOrder) -> bool:
    """Record a report; if it can't be true a person must look. Return whether it could."""
    try:
        with transaction.atomic(durable=True):
            record_order(order, report)
    except LedgerConflict as conflict:
        logger.error("%s", conflict)
        transition(order.pk, Order.State.NEEDS_REVIEW, reason=str(conflict))
        return False
    return True


def record_all(connection: Connection, venue_orders: Sequence[VenueOrder]) -> list[str]:
    """Record a batch in the caller's transaction; return a sentence for each report that can't be true.

    Its order is a person's then: it needs review until it is settled, whatever the next batch brings.
    """
    known = _orders_of(connection, venue_orders)
    fresh = [report for report in venue_orders if _would_change(known.get(report.client_order_id), report)]
    instruments = sorted({known[report.client_order_id].instrument_id for report in fresh})
    held = {instrument: lock_position(connection.pk, instrument) for instrument in instruments}
    conflicts = []
    for report in fresh:
        order = _read(known[report.client_order_id].pk)
        try:
            _apply_report(order, held[order.instrument_id], report)
        except LedgerConflict as conflict:  # raised before anything is written
            transition(order.pk, Order.State.NEEDS_REVIEW, reason=str(conflict))
            conflicts.append(str(conflict))
    return conflicts


def _orders_of(connection: Connection, venue_orders: Iterable[VenueOrder]) -> dict[str, Order]:
    ids = [report.client_order_id for report in venue_orders]
    rows = Order.objects.filter(connection=connection, client_order_id__in=ids)
    return {order.client_order_id: order for order in rows}


def _would_change(order: Order | None, report: VenueOrder) -> bool:
    """Return whether an order of ours would change; cheap, because every own answer comes back as an update."""
    if order is None:
        return False
    filled = sum((execution.quantity for execution in report.executions), ZERO)
    after = states.state_after(order.state, report.state, filled, order.quantity)
    if report.state == "filled" and order.state != "filled":
        return True
    return filled != order.filled_quantity or after != order.state or not order.venue_order_id


def _apply_report(order: Order, held: Position, report: VenueOrder) -> None:
    fills = _new_executions(order, report.executions)
    sums = _totals(order, fills)
    for execution in fills:
        post_execution(order, held, execution)
    if fills:
        save_position(held)
    before = order.state
    moved = _update_order(order, report, sums)
    if order.cancel_requested_at and before not in states.AT_VENUE and order.state in states.AT_VENUE:
        nudge_after_commit(task_names.CANCEL, order.pk)
    if fills and not moved:
        announce_order(order.pk, order.state)
    _propagate(order, went_flat=bool(fills) and held.quantity == 0)
    if fills and order.role == Order.Role.ENTRY:
        late_fills.after_entry(order, held, sum((execution.quantity for execution in fills), ZERO))
    elif moved and order.role == Order.Role.EXIT:
        late_fills.after_exit(order, held)


def _new_executions(order: Order, executions: Sequence[Execution]) -> list[Execution]:
    if not executions:
        return []
    recorded = _recorded_trade_ids(order) if order.filled_quantity else frozenset()
    fresh = [execution for execution in executions if execution.venue_trade_id not in recorded]
    for execution in fresh:
        _require_possible(order, execution)
    total = order.filled_quantity + sum((execution.quantity for execution in fresh), ZERO)
    if total > order.quantity:
        raise LedgerConflict(
            f"{order.client_order_id}: the venue executed {total:f}, but {order.quantity:f} was ordered"
        )
    return fresh


def _require_possible(order: Order, execution: Execution) -> None:
    """Raise LedgerConflict for an execution that no order of ours can have had."""
    numbers = (execution.quantity, execution.price, execution.fee)
    if execution.side != order.side:
        raise LedgerConflict(f"{order.client_order_id}: the venue executed a {execution.side}, not a {order.side}")
    if not all(number.is_finite() for number in numbers) or execution.quantity <= 0 or execution.price <= 0:
        raise LedgerConflict(
            f"{order.client_order_id}: the venue executed {execution.quantity} at {execution.price}"
            f" for a fee of {execution.fee}"
        )


def _read(order_id: int) -> Order:
    return sql.rows(Order, "WHERE id = %s", order_id)[0]


def _recorded_trade_ids(order: Order) -> frozenset[str]:
    return frozenset(Fill.objects.filter(order=order).values_list("venue_trade_id", flat=True))


def _totals(order: Order, fresh: Sequence[Execution]) -> OrderValues:
    """Derive the order's own sums from its fills, those about to be written included."""
    if not fresh:
        return {}
    deals = deals_of("order_id", order.pk) if order.filled_quantity else []
    deals += [Deal(row.side, row.quantity, row.price, row.fee) for row in fresh]
    quantity, price, fees = pnl.average(deals)
    return {"filled_quantity": quantity, "average_price": price, "fees": fees}


def _update_order(order: Order, report: VenueOrder, sums: OrderValues) -> bool:
    """Write its sums, and move the order to the state that follows from them; return whether it moved."""
    values = sums.copy()
    order.filled_quantity = sums.get("filled_quantity", order.filled_quantity)
    if report.venue_order_id and not order.venue_order_id:
        values["venue_order_id"] = report.venue_order_id
    if order.accepted_at is None:
        values["accepted_at"] = timezone.now()
    if order.parent_id is not None and report.state == "filled" and 0 < order.filled_quantity < order.quantity:
        order.quantity = order.filled_quantity  # a leg follows what its entry filled
        values["quantity"] = order.quantity
    after = states.state_after(order.state, report.state, order.filled_quantity, order.quantity)
    reason = "" if after in states.TAKEN else report.reason or f"{after} by the venue"
    if after != order.state and transition(order.pk, after, reason=reason, **values):
        order.state = after
        return True
    if values:
        Order.objects.filter(pk=order.pk).update(**values, updated_at=timezone.now())
    return False


def _propagate(order: Order, *, went_flat: bool) -> None:
    """Propagate the change: to legs with their entry, waiting orders when one is over, one more look when flat."""
    if order.role == Order.Role.ENTRY:
        _propagate_to_legs(order)
    if went_flat:
        nudge_after_commit(task_names.SYNC, order.connection_id)
    if order.state in states.FINAL:
        nudge_waiting(order)


def _propagate_to_legs(entry: Order) -> None:
    if entry.state in states.FINAL and entry.filled_quantity == 0:
        end_legs(entry.pk, Order.State.CANCELED, f"its entry was {entry.state}")
        return
    if entry.state in states.FINAL and entry.filled_quantity < entry.quantity:
        legs = Order.objects.filter(parent=entry, state__in=states.OPEN)
        legs.filter(filled_quantity__lt=entry.filled_quantity).update(
            quantity=entry.filled_quantity, updated_at=timezone.now()
        )
    accept_legs(entry.pk)


def nudge_waiting(order: Order) -> None:
    """Nudge the pending orders of this instrument: one of them may have waited for `order`."""
    query = """
        SELECT id FROM brokers_order
        WHERE instrument_id = %s AND connection_id = %s AND state = %s AND parent_id IS NULL ORDER BY id
    """
    for (order_id,) in sql.values(query, order.instrument_id, order.connection_id, Order.State.PENDING.value):
        nudge_after_commit(task_names.SUBMIT, order_id)
