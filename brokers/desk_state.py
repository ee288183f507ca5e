"""ACTIVE, REDUCING, HALTED: who changed it, why, and until when."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from algotrendy.events import after_commit, announce
from algotrendy.history.changes import note
from algotrendy.text import plain
from brokers import signals
from brokers.models import Desk, Order
from brokers.orders.cancelling import repeat_cancels, withdraw_entries
from brokers.selectors import desk, effective_state

logger = logging.getLogger(__name__)

BY_ITSELF = "the desk"
DRAIN_SECONDS = 5.0  # a submission that takes longer counts as unknown, and is looked up, not sent again


class DeskHalted(Exception):
    """The desk is halted, and nobody has said that it may be loosened."""

    def __init__(self, row: Desk) -> None:
        why = f" ({row.reason})" if row.reason else ""
        super().__init__(f"the desk is halted{why}: nothing leaves it, exits neither")


def set_desk_state(
    *,
    state: str,
    by: AbstractBaseUser | None,
    reason: str,
    until: datetime | None = None,
    who: str = "",
    from_halted: bool = True,
) -> Desk:
    """Change what the desk may do, and return it. `until` (wall time) ends REDUCING or HALTED by itself.

    `who` says for the history who it was where `by` is nobody.

    REDUCING and HALTED withdraw what is left of entries, at the venue and on the way there. HALTED returns only
    when no order is on its way any more: whatever had been claimed before is out, and nothing is sent afterwards.
    Inside a transaction of the caller all that follows its commit. Raises DeskHalted instead of loosening a halted
    desk unless `from_halted`: whoever did not know of the halt does not end it.
    """
    ends = None if state == Desk.State.ACTIVE else until
    reason = plain(reason)  # one that can't be stored must not keep the desk from halting
    with transaction.atomic():
        row = Desk.objects.select_for_update().get(pk=desk().pk)
        if not from_halted and state != Desk.State.HALTED and effective_state(row) == Desk.State.HALTED:
            raise DeskHalted(row)
        _note(by or who or None, row.state, state, reason)
        row.state, row.reason, row.until = Desk.State(state), reason[:200], ends
        row.changed_at, row.changed_by_id = timezone.now(), by.pk if by else None
        row.save(update_fields=["state", "reason", "until", "changed_at", "changed_by"])
        announce(signals.desk_changed, Desk, state=row.state)
        if state != Desk.State.ACTIVE:
            after_commit(partial(_stop_entries, row))
    return row


def reduce_until_midnight(reason: str) -> bool:
    """Let only exits through until the next 00:00 UTC; return whether that is new. A halted desk stays halted."""
    now = timezone.now()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    with transaction.atomic():
        changed = Desk.objects.filter(pk=1, state=Desk.State.ACTIVE).update(
            state=Desk.State.REDUCING, reason=reason[:200], until=midnight, changed_at=now, changed_by=None
        )
        if changed:
            _note(BY_ITSELF, Desk.State.ACTIVE, Desk.State.REDUCING, reason)
            announce(signals.desk_changed, Desk, state=Desk.State.REDUCING)
            after_commit(keep_entries_out)
    return changed == 1


def end_expired(now: datetime | None = None) -> bool:
    """Return the desk to ACTIVE when its `until` has passed; return whether it had."""
    now = now or timezone.now()
    with transaction.atomic():
        due = Desk.objects.filter(pk=1, until__lte=now).exclude(state=Desk.State.ACTIVE)
        before = due.select_for_update().values_list("state", flat=True).first()
        ended = due.update(state=Desk.State.ACTIVE, reason="", until=None, changed_at=now, changed_by=None)
        if ended:
            _note(BY_ITSELF, before or "", Desk.State.ACTIVE, "its time was over")
            announce(signals.desk_changed, Desk, state=Desk.State.ACTIVE)
    return ended == 1


def save_limits(*, desk: Desk, names: Sequence[str]) -> None:
    """Save the limits named `names` of `desk` and nothing else: its state may have changed since it was read."""
    desk.save(update_fields=list(names))
    announce(signals.desk_changed, Desk, state=desk.state)


def _note(by: AbstractBaseUser | str | None, before: str, after: str, reason: str) -> None:
    if before == after:
        return
    words = f"{_in_words(before)} → {_in_words(after)}"
    note(by, desk(), f"{words}: {reason}" if reason else words, name="The desk")


def _in_words(state: str) -> str:
    return dict(Desk.State.choices).get(state, state)


def keep_entries_out() -> None:
    """While the desk is not active, have what is left of entries cancelled."""
    row = desk()
    state = effective_state(row)
    if state != Desk.State.ACTIVE:
        why = f": {row.reason}" if row.reason else ""
        withdraw_entries(f"the desk is {Desk.State(state).label.lower()}{why}")


def _stop_entries(row: Desk) -> None:
    """Withdraw the entries. A halt waits for those on their way, and returns when the venues have ended them.

    What a venue doesn't end in that time, or a killed process leaves, is the sweep's.
    """
    keep_entries_out()
    if row.state == Desk.State.HALTED:
        _wait_for_claimed(row.changed_at)
        repeat_cancels(seconds=DRAIN_SECONDS)


def _wait_for_claimed(halted_at: datetime) -> None:
    """Wait until the orders claimed before the halt have their answer, at most DRAIN_SECONDS."""
    deadline = time.monotonic() + DRAIN_SECONDS
    claimed = Order.objects.filter(state=Order.State.SUBMITTING)
    while claimed.exists():
        if time.monotonic() > deadline:
            logger.warning("halted at %s with a submission still unanswered", halted_at)
            return
        time.sleep(0.02)
