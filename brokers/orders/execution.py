"""An order's way out: claim it, ask the venue with no transaction open, write down the answer."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction
from django.utils import timezone

from algotrendy.database import sql
from algotrendy.events import nudge_after_commit
from brokers import sync, task_names
from brokers.contract import (
    DuplicateClientOrderId,
    OrderRejected,
    OrderRequest,
    OrderType,
    OutcomeUnknown,
    VenueOrder,
)
from brokers.models import Connection, Desk, Order
from brokers.orders import pre_submit, reports
from brokers.orders.transitions import end_legs, transition
from brokers.selectors import desk as the_desk
from brokers.venues import registry
from market.models import Instrument

logger = logging.getLogger(__name__)

# A claim that old is somebody else's to clear up (see sweeping): it must not reach the venue any more.
CLAIM_SECONDS = 4.0
TYPES: Final[dict[str, OrderType]] = {"market": "market", "limit": "limit", "stop": "stop"}
DUPLICATE = "the venue has had this id before"


class Claim(NamedTuple):
    """An order that is ours to send with its legs, and the time of the claim, which nobody else shares."""

    order: Order
    legs: tuple[Order, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue provably refused."""

    reason: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Nobody knows whether the venue has it. `look_now` when the venue just answered that it does."""

    reason: str
    look_now: bool = False


Answer = VenueOrder | Refusal | Doubt


def submit(order_id: int) -> None:
    """Send a pending order if it may leave now. Safe to call any number of times, from anywhere at once."""
    started = time.monotonic()
    claim = claim_order(order_id)
    if claim is None:
        return
    if time.monotonic() - started > CLAIM_SECONDS:
        logger.warning("order %s was claimed too slowly, it is left to the sweep", order_id)
        return
    write_answer(claim, call_venue(claim))


def claim_order(order_id: int) -> Claim | None:
    """Claim pending → submitting in a transaction of its own; None when it isn't ours or may not leave.

    The desk's row is locked first: shared by exits, alone by entries, because limits hold over all entries
    together. A HALT waits for the lock and so comes either before the claim, which then fails, or after it.

    Raises BrokerError, with nothing claimed, where the connection has no adapter or settings that can't be used.
    """
    with transaction.atomic(durable=True):
        orders = _pending_with_legs(order_id)
        if not orders:
            return None
        order, *legs = orders
        desk = _locked_desk(alone=not order.reduce_only)
        now = timezone.now()
        verdict = pre_submit.check_before_submit(order, desk, now)
        if verdict.outcome == "go":
            registry.adapter(order.connection)  # what can't even be made was provably never asked: it waits
            order.quantity = verdict.quantity or order.quantity
            mine = transition(order_id, Order.State.SUBMITTING, submitted_at=now, quantity=order.quantity)
            return Claim(order, tuple(legs), now) if mine else None
        if verdict.outcome != "wait":
            _end_unsent(order, verdict)
        return None


def call_venue(claim: Claim) -> Answer:
    """Call the venue. Whatever goes wrong that is not a plain refusal leaves the order in doubt."""
    order = claim.order
    try:
        return registry.adapter(order.connection).submit(request(order, claim.legs))
    except DuplicateClientOrderId:
        return Doubt(DUPLICATE, look_now=True)
    except OrderRejected as refusal:
        return Refusal(str(refusal) or "refused without a reason")
    except OutcomeUnknown as doubt:
        return Doubt(str(doubt) or "no answer")
    except Exception as error:
        logger.exception("order %s: the adapter failed", order.pk)
        return Doubt(f"{type(error).__name__}: {error}")


def write_answer(claim: Claim, answer: Answer) -> None:
    """Write down what the venue answered; what it executed already is in the same transaction."""
    order = claim.order
    if order.reduce_only and not (isinstance(answer, VenueOrder) and answer.state == "filled"):
        # It closed less than it should: what closed the rest must be known before a reversal is judged by it.
        sync.sync_connection(order.connection_id)
    if isinstance(answer, VenueOrder):
        reports.record_or_review(order, answer)
    elif isinstance(answer, Refusal):
        _refuse(order, answer.reason, claimed_at=claim.at)
    else:
        _doubt(order, answer, claim.at)


def request(order: Order, legs: Sequence[Order] = ()) -> OrderRequest:
    """Return the order, and its legs, as they are sent to the venue."""
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.instrument.symbol,
        side="buy" if order.side == Order.Side.BUY else "sell",
        type=TYPES[order.type],
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        reduce_only=order.reduce_only,
        legs=tuple(request(leg) for leg in legs),
    )


def _pending_with_legs(order_id: int) -> list[Order]:
    """Return a pending order and its legs behind it; nothing when it isn't pending, or is a leg itself."""
    where = "WHERE (id = %s OR parent_id = %s) AND state = %s ORDER BY id"
    orders = sql.rows(Order, where, order_id, order_id, Order.State.PENDING.value)
    if not orders or orders[0].pk != order_id or orders[0].parent_id is not None:
        return []
    keys = (orders[0].connection_id, orders[0].instrument_id)
    where = "WHERE brokers_connection.id = %s AND market_instrument.id = %s"
    connection, instrument = sql.joined((Connection, Instrument), where, *keys)[0]
    for order in orders:
        order.connection, order.instrument = connection, instrument
    return orders


def _locked_desk(*, alone: bool) -> Desk:
    row = sql.first(Desk, f"WHERE id = 1 FOR {'UPDATE' if alone else 'SHARE'}")
    return row or the_desk()  # inserted just now, by us or by somebody: there was nothing to wait for


def _end_unsent(order: Order, verdict: pre_submit.Verdict) -> None:
    if transition(order.pk, verdict.outcome, sources=[Order.State.PENDING], reason=verdict.reason):
        end_legs(order.pk, Order.State.CANCELED, f"its entry was {verdict.outcome}")
        reports.nudge_waiting(order)


def _refuse(order: Order, reason: str, *, claimed_at: datetime | None = None) -> None:
    with transaction.atomic(durable=True):
        sources = [Order.State.SUBMITTING] if claimed_at else None
        if transition(order.pk, Order.State.REJECTED, sources=sources, reason=reason, claimed_at=claimed_at):
            end_legs(order.pk, Order.State.CANCELED, "its entry was rejected")
            reports.nudge_waiting(order)


def _doubt(order: Order, doubt: Doubt, claimed_at: datetime) -> None:
    with transaction.atomic(durable=True):
        source = [Order.State.SUBMITTING]
        moved = transition(
            order.pk, Order.State.UNKNOWN, sources=source, reason=doubt.reason, claimed_at=claimed_at
        )
        if moved and doubt.look_now:
            nudge_after_commit(task_names.LOOK_UP, order.pk)
