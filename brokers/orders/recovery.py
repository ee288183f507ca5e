"""What finds the work that a lost nudge or a dead worker left behind. Runs every two seconds, one at a time."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from algotrendy import locks
from algotrendy.history.changes import note
from algotrendy.isolation.rows import each, in_turn
from brokers import desk_state, sync
from brokers.contract import BrokerError, VenueUnavailable
from brokers.models import Connection, Order
from brokers.orders import cancelling, execution, reports
from brokers.orders.transitions import end_legs, transition
from brokers.venues import registry

logger = logging.getLogger(__name__)

NUDGE_LOST_AFTER = timedelta(seconds=2)
CLAIM_LOST_AFTER = timedelta(seconds=5)
FIRST_LOOK_AFTER = timedelta(seconds=1)
LOOKUPS = 6  # 1, 2, 4, 8, 16 and 32 s apart: about a minute, then a person
BATCH = 200
# The parts of the sweep, as the page Health names them where one fails.
SWEEP, SYNC, SUBMIT, LOOK_UP = "brokers.sweep_orders", "brokers.sync", "brokers.submit", "brokers.look_up"


def sweep() -> bool:
    """Do everything that is overdue; return False when another worker is at it."""
    with locks.try_session_lock("brokers.sweep") as mine:
        if mine:
            in_turn(SWEEP, STEPS)
    return mine


def doubt_lost_claims() -> int:
    """Move claims whose worker is gone to unknown: the venue may or may not have been called."""
    overdue = Order.objects.filter(
        state=Order.State.SUBMITTING, submitted_at__lte=timezone.now() - CLAIM_LOST_AFTER
    )
    return sum(each("brokers.doubt_lost_claims", overdue[:BATCH], _doubt_claim))


def _doubt_claim(order: Order) -> bool:
    source, reason = [Order.State.SUBMITTING], "its worker went away while sending"
    return transition(order.pk, Order.State.UNKNOWN, sources=source, reason=reason, claimed_at=order.submitted_at)


def look_up_doubtful() -> None:
    """Look up each unknown order whose time has come."""
    now = timezone.now()
    rows = Order.objects.filter(state=Order.State.UNKNOWN, updated_at__lte=now - FIRST_LOOK_AFTER)
    due = (
        order.pk
        for order in rows.order_by("updated_at")[:BATCH]
        if order.updated_at <= now - FIRST_LOOK_AFTER * 2**order.lookups
    )
    each(LOOK_UP, due, look_up, model=Order)


def trade_at_local_venues() -> None:
    """Let the venues in our own process trade at the candles that a lost nudge left."""
    each("brokers.local_venues", sorted(registry.VENUES), _trade_at)


def _trade_at(name: str) -> None:
    if venue := registry.local_venue(name):
        venue.on_sweep()


def sync_all() -> None:
    """Take in what happened at every venue of a connection that is switched on."""
    ids = Connection.objects.filter(enabled=True).order_by("id").values_list("id", flat=True)
    each(SYNC, ids, sync.sync_connection, model=Connection, complete=True)


def submit_waiting() -> None:
    """Submit pending orders whose nudge was lost, or that waited for something."""
    overdue = timezone.now() - NUDGE_LOST_AFTER
    rows = Order.objects.filter(state=Order.State.PENDING, parent=None, updated_at__lte=overdue)
    ids = list(rows.order_by("id").values_list("id", flat=True)[:BATCH])
    each(SUBMIT, ids, execution.submit, model=Order, complete=len(ids) < BATCH)


#: What one sweep does, in this order.
STEPS: Mapping[str, Callable[[], object]] = {
    "desk states that have ended": desk_state.end_expired,
    "entries of a desk that is not active": desk_state.keep_entries_out,
    "lost claims": doubt_lost_claims,
    "orders in doubt": look_up_doubtful,
    "wanted cancels": cancelling.repeat_cancels,  # what shall end must not trade once more at a local venue
    "local venues": trade_at_local_venues,
    "news of venues": sync_all,
    "waiting orders": submit_waiting,
}


def look_up(order_id: int) -> bool:
    """Ask the venue whether it has an order in doubt, and settle it if the answer proves anything.

    Known there: its report is recorded. Provably never there: pending again, so it leaves exactly once. Else one
    more look later, and after the last one a person. Return whether the venue could be asked.
    """
    rows = Order.objects.filter(state__in=Order.IN_DOUBT).select_related("connection", "instrument")
    order = rows.filter(pk=order_id).first()
    if order is None:
        return True
    try:
        broker = registry.adapter(order.connection)
        report = broker.lookup(order.client_order_id)
    except BrokerError as error:
        _count_lookup(order, f"the venue could not be asked: {error}")
        return False
    if report is not None:
        reports.record_or_review(order, report)
    elif broker.idempotent_client_ids and order.state == Order.State.UNKNOWN:
        _back_to_pending(order)
    else:
        _count_lookup(order, f"the venue does not know it; {order.reason}")
    return True


def resolve_by_hand(*, order: Order, by: AbstractBaseUser) -> Order:
    """Settle an order that needs review, in the name of `by`, by what the venue reports of it.

    No report: rejected. One that can't be true: set aside, what is recorded here stays. Raises VenueUnavailable,
    with nothing settled, when the venue can't be asked.
    """
    try:
        report = registry.adapter(order.connection).lookup(order.client_order_id)
    except BrokerError as error:
        raise VenueUnavailable("the venue could not be asked; nothing was settled") from error
    if report is None:
        _settle(order, by, "the venue has no such order")
    elif not reports.record_or_review(order, report):
        _settle(order, by, "what the venue reports can't be true and was set aside")
    else:
        _note_settled(order, by)
    return order


def _settle(order: Order, by: AbstractBaseUser, why: str) -> None:
    """End an order in review as its own fills have it."""
    with transaction.atomic():
        order.refresh_from_db()
        filled, end = order.filled_quantity, Order.State.REJECTED
        if filled:
            end = Order.State.FILLED if filled == order.quantity else Order.State.CANCELED
        reason = f"settled by {by.get_username()}: {why}"
        if transition(order.pk, end, sources=[Order.State.NEEDS_REVIEW], reason=reason):
            if not filled:
                end_legs(order.pk, Order.State.CANCELED, f"its entry was {end}")
            reports.nudge_waiting(order)
        _note_settled(order, by)


def _note_settled(order: Order, by: AbstractBaseUser) -> None:
    order.refresh_from_db()
    note(by, order, f"settled it: {order.get_state_display().lower()}", name=f"Order #{order.pk}")


def _back_to_pending(order: Order) -> None:
    source, reason = [Order.State.UNKNOWN], "the venue never had it"
    if transition(order.pk, Order.State.PENDING, sources=source, reason=reason, submitted_at=None):
        execution.submit(order.pk)


def _count_lookup(order: Order, reason: str) -> None:
    """Count a look that proved nothing; only while the order is still unknown."""
    looks = order.lookups + 1
    if looks >= LOOKUPS:
        transition(order.pk, Order.State.NEEDS_REVIEW, sources=[Order.State.UNKNOWN], reason=reason, lookups=looks)
        return
    rows = Order.objects.filter(pk=order.pk, state=Order.State.UNKNOWN, lookups=order.lookups)
    rows.update(lookups=looks, reason=reason[:300], updated_at=timezone.now())
