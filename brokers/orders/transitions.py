"""The only place where an order's state changes: one conditional UPDATE, announced after commit."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypedDict, Unpack

from django.utils import timezone

from algotrendy.database import sql
from algotrendy.events import announce
from brokers import signals
from brokers.models import Order
from brokers.orders.states import FINAL, SOURCES

REASON_LENGTH = 300


class OrderValues(TypedDict, total=False):
    """Columns of an order that may be written along with its state."""

    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    fees: Decimal
    venue_order_id: str
    lookups: int
    submitted_at: datetime | None
    accepted_at: datetime


def transition(
    order_id: int,
    to: str,
    *,
    sources: Sequence[str] | None = None,
    reason: str | None = None,
    claimed_at: datetime | None = None,
    **values: Unpack[OrderValues],
) -> bool:
    """Claim the change of one order to state `to`; return whether it was ours to make.

    It happens only from `sources` (by default every state that the machine allows) and, with `claimed_at`, only
    while the order is still held by the claim of that time. `values` are written along with the state.
    """
    origin = [state for state in (sources or SOURCES[to]) if state in SOURCES[to]]
    now = timezone.now()
    written: dict[str, object] = {**values, "state": str(to), "updated_at": now}
    if reason is not None:
        written["reason"] = reason[:REASON_LENGTH]
    if to in FINAL:
        written["closed_at"] = now
    columns = ", ".join(f'"{column}" = %s' for column in written)
    query = f"UPDATE brokers_order SET {columns} WHERE id = %s AND state = ANY(%s)"  # noqa: S608 - our own names
    where: list[object] = [order_id, [str(state) for state in origin]]
    if claimed_at is not None:
        query += " AND submitted_at = %s"
        where.append(claimed_at)
    moved = sql.change(query, *written.values(), *where) == 1
    if moved and to != Order.State.SUBMITTING:  # over in a moment: the answer is what is announced
        announce_order(order_id, to)
    return moved


def announce_order(order_id: int, state: str) -> None:
    """Announce, after commit, that an order changed."""
    announce(signals.order_changed, Order, order_id=order_id, state=state)


def accept_legs(parent_id: int) -> None:
    """Move the waiting legs of an entry that the venue has taken: they went along with it, as does the news."""
    query = """
        UPDATE brokers_order SET state = %s, accepted_at = %s, updated_at = %s WHERE parent_id = %s AND state = %s
    """
    now = timezone.now()
    sql.change(query, Order.State.ACCEPTED.value, now, now, parent_id, Order.State.PENDING.value)


def end_legs(parent_id: int, to: str, reason: str) -> int:
    """End the legs of an entry that will hold nothing; return how many there were.

    They end whatever was reported of them before: no leg can outlive its entry at the venue.
    """
    legs = Order.objects.filter(parent_id=parent_id).order_by("id").values_list("id", flat=True)
    return sum(transition(leg, to, reason=reason) for leg in legs)
