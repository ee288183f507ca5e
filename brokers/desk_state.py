"""ACTIVE, REDUCING, HALTED: who changed it, why, and until when."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.utils import timezone

from algotrendy.events import announce, nudge_after_commit
from algotrendy.history.changes import note
from algotrendy.text import plain
from brokers import signals, task_names
from brokers.models import Desk, Order
from brokers.selectors import desk

logger = logging.getLogger(__name__)

BY_ITSELF = "the desk"
DRAIN_SECONDS = 5.0  # a submission that takes longer counts as unknown, and is looked up, not sent again


def set_desk_state(
    *, state: str, by: AbstractBaseUser | None, reason: str, until: datetime | None = None, who: str = ""
) -> Desk:
    """Change what the desk may do, and return it. `until` (wall time) ends REDUCING or HALTED by itself.

    `who` says for the history who it was where `by` is nobody.

    HALTED returns only when no order is on its way any more: whatever had been claimed before is out, and
    nothing is sent afterwards. (Inside a transaction of the caller it can't wait; call it outside of one.)
    """
    ends = None if state == Desk.State.ACTIVE else until
    reason = plain(reason)  # one that can't be stored must not keep the desk from halting
    with transaction.atomic():
        row = Desk.objects.select_for_update().get(pk=desk().pk)
        _note(by or who or None, row.state, state, reason)
        row.state, row.reason, row.until = Desk.State(state), reason[:200], ends
        row.changed_at, row.changed_by_id = timezone.now(), by.pk if by else None
        row.save(update_fields=["state", "reason", "until", "changed_at", "changed_by"])
        announce(signals.desk_changed, Desk, state=row.state)
        if state == Desk.State.HALTED:
            _withdraw_entries()
    if state == Desk.State.HALTED and not connection.in_atomic_block:
        _wait_for_claimed(row.changed_at)
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


def _withdraw_entries() -> None:
    """Ask the venues to cancel what is left of entries; stops and targets stay."""
    rows = Order.objects.filter(role=Order.Role.ENTRY, state__in=Order.AT_VENUE)
    for order_id in rows.values_list("id", flat=True):
        nudge_after_commit(task_names.CANCEL, order_id)


def _wait_for_claimed(halted_at: datetime) -> None:
    """Wait until the orders claimed before the halt have their answer, at most DRAIN_SECONDS."""
    deadline = time.monotonic() + DRAIN_SECONDS
    claimed = Order.objects.filter(state=Order.State.SUBMITTING)
    while claimed.exists():
        if time.monotonic() > deadline:
            logger.warning("halted at %s with a submission still unanswered", halted_at)
            return
        time.sleep(0.02)
