"""Removing what is old enough: once a night, a batch and a short transaction at a time, each kind by itself."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from algotrendy.events import nudge
from algotrendy.isolation.rows import each
from algotrendy.locks import try_session_lock
from algotrendy.retention.models import Removal

#: Nightly work begins after this hour (UTC), or when the desk runs next.
NIGHT_HOUR = 3
#: Batches that one task takes of each kind before it lets others run.
BATCHES = 20

#: How far removing one kind of rows is, kept between batches: strings and numbers.
Progress = dict[str, Any]
#: Removes one batch in the caller's transaction, notes in `Progress` how far it is, and returns how many rows that
#: were; None when nothing is left to remove.
Batch = Callable[[Progress], int | None]


def last_night(now: datetime | None = None) -> datetime:
    """Return when the last nightly work was due (wall time)."""
    now = now or timezone.now()
    due = now.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return due if due <= now else due - timedelta(days=1)


def before(days: int) -> datetime | None:
    """Return the wall time before which rows are old; None if `days` is 0: they are kept for ever."""
    return timezone.now() - timedelta(days=days) if days else None


def remove(task: str, kinds: Mapping[str, Batch]) -> int:
    """Take the next batches of every kind whose night is not through; return how many rows were removed.

    One worker at a time. A kind that fails stops no other, is named on the page Health and tried again by the next
    beat. What is not through goes on with a nudge of `task`.
    """
    with try_session_lock(task) as mine:
        if not mine:
            return 0
        taken = each(task, list(kinds), lambda name: _take(name, kinds[name]), complete=True)
    if not all(through for _, through in taken):
        nudge(task)
    return sum(count for count, _ in taken)


def _take(name: str, batch: Batch) -> tuple[int, bool]:
    """Take up to BATCHES of one kind; return how many rows went, and whether its night is through."""
    row, _ = Removal.objects.get_or_create(name=name)
    total = 0
    if row.ended_at and row.ended_at >= last_night():
        return total, True
    for _ in range(BATCHES):
        count = _one(row, batch)
        if count is None:
            return total, True
        total += count
    return total, False


@transaction.atomic(durable=True)
def _one(row: Removal, batch: Batch) -> int | None:
    """Take one batch and write down how far it came, both or neither; return its rows, None at the end."""
    count = batch(row.progress)
    if count is None:
        row.removed, row.removing, row.ended_at = row.removing, 0, timezone.now()
    else:
        row.removing += count
    row.save()
    return count
