"""What shall end: written down first, asked of the venue then, and asked again until it has ended.

A wanted cancel is a row (`Order.cancel_requested_at`), whoever wants it: HALT, a close, or a person. The nudge
that follows only makes it fast. An order that is still on its way when its cancel is wanted is cancelled as soon
as the venue is known to have it; one that never got there is not sent again.
"""

import logging
import math
import time

from django.db.models import QuerySet
from django.utils import timezone

from algotrendy.database import sql
from algotrendy.events import nudge_after_commit
from algotrendy.isolation.rows import ends_the_work
from brokers import task_names
from brokers.contract import BrokerError
from brokers.models import Order
from brokers.orders import reports
from brokers.orders.states import IN_FLIGHT
from brokers.orders.transitions import REASON_LENGTH, announce_order
from brokers.venues import registry

logger = logging.getLogger(__name__)

BATCH = 200
REQUEST = """
    UPDATE brokers_order
    SET cancel_reason = CASE WHEN cancel_requested_at IS NULL THEN %s ELSE cancel_reason END,
        cancel_requested_at = coalesce(cancel_requested_at, %s)
    WHERE id = %s AND state = ANY(%s)
    RETURNING state
"""


def request_cancel(order_id: int, reason: str) -> bool:
    """Write down that what is left of an order shall be cancelled, and why; return whether it is under way at all.

    The first reason stays. An order that has not left is no business of a venue: it is moved, not cancelled here.
    """
    rows = sql.values(REQUEST, reason[:REASON_LENGTH], timezone.now(), order_id, sorted(IN_FLIGHT))
    for (state,) in rows:
        announce_order(order_id, state)
        nudge_after_commit(task_names.CANCEL, order_id)
    return bool(rows)


def withdraw_entries(reason: str) -> None:
    """Write down that no entry shall fill any further, those on their way and in doubt included.

    Each is a transaction of its own where the caller has none: the venues' reports move many orders at once, in an
    order of their own, and nobody who holds one of them may wait for the next. Stops and targets stay.
    """
    rows = Order.objects.filter(role=Order.Role.ENTRY, state__in=IN_FLIGHT, cancel_requested_at=None)
    for order_id in list(rows.order_by("id").values_list("id", flat=True)):
        request_cancel(order_id, reason)


def cancel(order_id: int) -> None:
    """Ask the venue to cancel what is left of an order whose cancel is wanted, and record what it then is.

    A failure is written into the order's reason and nothing else changes: the sweep comes back to it.
    """
    order = _wanted().select_related("connection", "instrument").filter(pk=order_id).first()
    if order is None:
        return
    try:
        report = registry.adapter(order.connection).cancel(order.client_order_id)
    except BrokerError as error:
        _write_failure(order, str(error) or type(error).__name__)
    except Exception as error:
        if ends_the_work(error):
            raise
        logger.exception("order %s: the adapter failed", order_id)
        _write_failure(order, f"{type(error).__name__}: {error}")
    else:
        reports.record_or_review(order, report)


def repeat_cancels(*, seconds: float = math.inf) -> None:
    """Ask again for every cancel that is wanted and not final, those that failed longest ago first.

    After `seconds` the rest is left to the next sweep.
    """
    ends = time.monotonic() + seconds
    for order_id in list(_wanted().order_by("updated_at").values_list("id", flat=True)[:BATCH]):
        if time.monotonic() > ends:
            logger.warning("cancels from order %s on are left to the sweep", order_id)
            return
        cancel(order_id)


def _wanted() -> QuerySet[Order]:
    return Order.objects.filter(state__in=Order.AT_VENUE, cancel_requested_at__isnull=False)


def _write_failure(order: Order, error: str) -> None:
    reason = f"not cancelled yet: {error}"[:REASON_LENGTH]
    rows = Order.objects.filter(pk=order.pk, state__in=Order.AT_VENUE)
    written = rows.update(reason=reason, updated_at=timezone.now())
    if written and reason != order.reason:
        logger.warning("order %s: %s", order.pk, reason)
        announce_order(order.pk, order.state)
