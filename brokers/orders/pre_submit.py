"""May this order leave now? Asked inside the claim, with the desk's row locked.

Whoever changes the desk's state waits for that lock, so an order that is claimed was allowed at that moment, and
after a HALT none is.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from algotrendy.database import sql
from algotrendy.events import nudge_after_commit
from brokers import risk, selectors, task_names
from brokers.account import Account
from brokers.models import Desk, Order
from brokers.money import ZERO
from brokers.orders import states


class Verdict(NamedTuple):
    """`go`, or `wait` (nothing changes), or the state that the order ends in with the reason.

    With `quantity` it goes with that much instead of what was planned.
    """

    outcome: Literal["go", "wait", "denied", "expired", "canceled"]
    reason: str = ""
    quantity: Decimal | None = None


GO = Verdict("go")
# Of an entry: was its position closed after it, is an exit under way, may an entry from before an exit still fill?
# Each part goes by an index of its own: that of the instrument's newest orders, or that of open ones.
_OTHERS = "FROM brokers_order WHERE connection_id = %(connection)s AND instrument_id = %(instrument)s"
_EXITS = f"""
    SELECT EXISTS (SELECT {_OTHERS} AND role = 'exit' AND id > %(me)s AND after_id IS NULL),
           EXISTS (SELECT {_OTHERS} AND role = 'exit' AND state = ANY(%(open)s)),
           EXISTS (
               SELECT {_OTHERS} AND role = 'entry' AND state = ANY(%(in_flight)s)
               AND id < (SELECT max(id) {_OTHERS} AND role = 'exit' AND id < %(me)s)
           )
"""


def check_before_submit(order: Order, desk: Desk, now: datetime) -> Verdict:
    """Return what becomes of a pending order at `now` (wall time). First objection wins."""
    rules: tuple[Callable[[Order, Desk, datetime], Verdict], ...] = (_cancel, _connection, _desk_state, _deadline)
    rules += (_before_an_exit,) if order.reduce_only else (_after, _exits, _doubt_and_limits)
    for rule in rules:
        verdict = rule(order, desk, now)
        if verdict != GO:
            return verdict
    return GO


def _cancel(order: Order, desk: Desk, now: datetime) -> Verdict:
    """End what the venue never had, and what shall not go there any more."""
    return Verdict("canceled", order.cancel_reason) if order.cancel_requested_at else GO


def _connection(order: Order, desk: Desk, now: datetime) -> Verdict:
    if order.connection.enabled:
        return GO
    return Verdict("denied", f"connection {order.connection.name} is switched off")


def _desk_state(order: Order, desk: Desk, now: datetime) -> Verdict:
    state = selectors.effective_state(desk, now)
    why = f": {desk.reason}" if desk.reason else ""
    if state == Desk.State.HALTED:
        return Verdict("denied", f"the desk was halted{why}")
    if state == Desk.State.REDUCING and not order.reduce_only:
        return Verdict("denied", f"the desk was reducing, only exits may leave{why}")
    return GO


def _deadline(order: Order, desk: Desk, now: datetime) -> Verdict:
    if order.good_until is None or order.good_until > now or order.reduce_only:
        return GO
    return Verdict("expired", f"it had not left by {order.good_until:%Y-%m-%d %H:%M:%S} UTC")


def _exits(order: Order, desk: Desk, now: datetime) -> Verdict:
    """End an entry that is older than an exit, and keep one back that is younger while the close goes on.

    Whoever closed the position did not mean what came before to open it again. (The exit withdrew what it saw;
    this one was in doubt then, or not committed yet.) And one that filled before the exit would take over the
    bracket of the position that is closed. The close goes on while an exit is under way, or an entry from before
    it, which may fill late. The way out of a late fill follows an exit (`after`) and is no close of its own.
    """
    values = {
        "connection": order.connection_id,
        "instrument": order.instrument_id,
        "me": order.pk,
        "open": sorted(states.OPEN),
        "in_flight": sorted(states.IN_FLIGHT),
    }
    closed_since, closing, closed_late = sql.named(_EXITS, values)[0]
    if closed_since:
        return Verdict("canceled", "the position was closed before it left")
    return Verdict("wait") if closing or closed_late else GO


def _after(order: Order, desk: Desk, now: datetime) -> Verdict:
    """Let a reversal's entry leave when its exit is filled, or ended because nothing was left to close."""
    earlier = order.after
    if earlier is None or earlier.state == Order.State.FILLED:
        return GO
    if earlier.state not in Order.FINAL:
        return Verdict("wait")
    held = selectors.position(order.connection_id, order.instrument_id)
    if earlier.reduce_only and earlier.state != Order.State.DENIED and (held is None or held.quantity == 0):
        return GO
    return Verdict("canceled", f"the exit before it was {earlier.state}: {earlier.reason}")


def _doubt_and_limits(order: Order, desk: Desk, now: datetime) -> Verdict:
    """Keep entries back while nobody knows what is held, and let none pass the limits together."""
    account = selectors.account(order.connection)
    mine = (other for other in account.orders if other.instrument_id == order.instrument_id)
    if any(other.state in states.IN_DOUBT for other in mine):
        return Verdict("wait")
    reason = _refusal(order, desk, account)
    return Verdict("denied", reason) if reason else GO


def _before_an_exit(order: Order, desk: Desk, now: datetime) -> Verdict:
    """Keep an exit back while an earlier entry may still fill behind it: it would close less than is held then.

    Orders first, the position after them: an entry that fills in between was waited for, or is held by then. Once
    no entry can add to it any more, the exit is for what is held, not for what might have been.
    """
    rows = selectors.open_with_role(Order.Role.ENTRY, order.connection_id, order.instrument_id)
    entries = [entry for entry in rows if entry.pk < order.pk]
    for entry in entries:
        if entry.state in Order.AT_VENUE:
            nudge_after_commit(task_names.CANCEL, entry.pk)
        if entry.state in states.IN_FLIGHT - states.IN_DOUBT:
            return Verdict("wait")
    held = selectors.position(order.connection_id, order.instrument_id)
    if held is not None and held.quantity != 0:
        return Verdict("go", quantity=min(order.quantity, abs(held.quantity))) if not entries else GO
    if any(entry.state == Order.State.UNKNOWN for entry in entries):
        return Verdict("wait")
    return Verdict("canceled", "nothing was left to close")


def _refusal(order: Order, desk: Desk, account: Account) -> str:
    price = order.reference_price or ZERO
    exposure = {row.instrument_id: abs(row.quantity) for row in account.holdings if row.quantity}
    for other in account.in_flight:
        if other.role == Order.Role.ENTRY:
            exposure[other.instrument_id] = exposure.get(other.instrument_id, ZERO) + other.left
    mine = exposure.pop(order.instrument_id, ZERO)
    worth = account.equity
    return risk.refusal_at_claim(
        limits=risk.Limits.of(desk),
        equity=worth.equity,
        day_pnl=worth.day_pnl,
        others_held=0 if mine else len(exposure),
        committed_value=mine * price,
        order_value=order.quantity * price,
    )
