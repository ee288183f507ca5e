"""How each task of beat's schedule went last. A worker writes it down after each run that beat asked for."""

import time

from django.db import DatabaseError
from django.utils import timezone

from algotrendy.isolation.models import ScheduledRun
from algotrendy.isolation.rows import clean, describe

#: Seconds in which one process writes an entry's success down once: some run every second.
NOTED_EVERY = 10.0
_noted_at: dict[str, float] = {}


def note_success(name: str) -> None:
    """Write down that an entry of the schedule has just succeeded."""
    if time.monotonic() - _noted_at.get(name, -NOTED_EVERY) < NOTED_EVERY:
        return
    _write(name, succeeded_at=timezone.now())
    _noted_at[name] = time.monotonic()


def note_failure(name: str, error: Exception) -> None:
    """Write down that an entry of the schedule has just failed as a whole; its next success is written at once."""
    _noted_at.pop(name, None)
    _write(name, failed_at=timezone.now(), error=clean(describe(error))[:500])


def _write(name: str, **values: object) -> None:
    """Write, unless the database is away: then every entry is late, which says as much."""
    try:
        ScheduledRun.objects.update_or_create(name=name[:200], defaults=values)
    except DatabaseError:
        _noted_at.pop(name, None)
