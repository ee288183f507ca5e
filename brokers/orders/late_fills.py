"""An entry that fills after its position was closed is closed again: whoever closed meant to be flat.

An exit does not wait for an entry in doubt, which may take a minute, or a person. The way out of what such an
entry fills later is written in the transaction that records the fill: both, or neither, and once. It is for what
filled late and no more, reduce-only, and what was ordered after the close waits for it.
"""

from decimal import Decimal

from django.db.models import Sum

from algotrendy.database import sql
from algotrendy.events import nudge_after_commit
from brokers import selectors, task_names
from brokers.models import Fill, Order, Position
from brokers.money import ZERO
from brokers.orders.ids import client_order_id
from brokers.orders.transitions import announce_order, transition

OPPOSITE = {"buy": Order.Side.SELL, "sell": Order.Side.BUY}
OTHERS_HELD = "it filled after the position was closed and another opened: close what is too much by hand"


def after_entry(entry: Order, held: Position, filled: Decimal) -> None:
    """Close what `entry` has just filled if its position was closed since it was ordered.

    In the transaction of the fill, under the position's lock. Where something that was ordered after the close is
    held by now, nobody knows what a sale would close: a person must look.
    """
    closing = _last_exit_after(entry)
    if closing is None or not _has_closed(closing):
        return  # one that is under way takes it along, or it is seen when that ends
    younger = Fill.objects.filter(trade=held.trade, order__role=Order.Role.ENTRY, order__gt=closing.pk)
    if held.quantity and younger.exists():
        transition(entry.pk, Order.State.NEEDS_REVIEW, reason=OTHERS_HELD)
        return
    _close(closing, held, filled, f"late-{entry.pk}-{entry.filled_quantity.normalize():f}")


def after_exit(closing: Order, held: Position) -> None:
    """Close what entries from before an exit filled while it was under way, and it did not take along."""
    if not held.quantity or not _has_closed(closing):
        return
    late = Fill.objects.filter(
        connection_id=closing.connection_id,
        instrument_id=closing.instrument_id,
        order__role=Order.Role.ENTRY,
        order__lt=closing.pk,
        side=OPPOSITE[closing.side],
        recorded_at__gte=closing.created_at,
    )
    _close(closing, held, late.aggregate(sum=Sum("quantity"))["sum"] or ZERO, f"late-{closing.pk}-rest")


def _last_exit_after(entry: Order) -> Order | None:
    where = "WHERE connection_id = %s AND instrument_id = %s AND role = %s AND id > %s ORDER BY id DESC LIMIT 1"
    return sql.first(Order, where, entry.connection_id, entry.instrument_id, Order.Role.EXIT.value, entry.pk)


def _has_closed(closing: Order) -> bool:
    """Return whether an exit ended as one does that closed what there was, and no person called it off."""
    return closing.state == Order.State.FILLED or (
        closing.state == Order.State.CANCELED and not closing.cancel_requested_at
    )


def _close(closing: Order, held: Position, late: Decimal, reference: str) -> None:
    """Order the way out once, for `late` of what is held and not more than that."""
    quantity = min(late, max(held.quantity if closing.side == Order.Side.SELL else -held.quantity, ZERO))
    if not quantity:
        return
    order, is_new = Order.objects.get_or_create(
        connection_id=closing.connection_id,
        client_order_id=client_order_id(selectors.desk().uid, reference, "exit"),
        defaults={
            "instrument_id": closing.instrument_id,
            "role": Order.Role.EXIT,
            "side": closing.side,
            "quantity": quantity,
            "reduce_only": True,
            "after": closing,
            "reason": f"an entry filled after order #{closing.pk} had closed the position",
            "reference_price": closing.reference_price,
            "market": closing.market,
        },
    )
    if is_new:
        announce_order(order.pk, order.state)
        nudge_after_commit(task_names.SUBMIT, order.pk)
