"""Beat's schedule: an entry that can't be read keeps no other from running, and the wall clock may be set.

Celery remembers when each entry ran last and queues the next runs by wall time: by itself it would send nothing
until a clock that was set back has caught up. Set back by an hour, every sweep would be an hour away, also after a
restart, because the last runs are stored.
"""

import logging
import time

from django.db import DatabaseError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from algotrendy.isolation.rows import each

logger = logging.getLogger(__name__)

WORK = "algotrendy.beat"  # what reads the schedule, on the page Health
STEP_SECONDS = 1.0  # the clock is set, and not only slewed, when it moves this far between two ticks


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # django-celery-beat has no types
    """The schedule in the database, which notices when the wall clock was set, back or ahead."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._offset = _offset()
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Read the schedule; the clock may have been set while there was no beat."""
        self._forget_future()
        super().setup_schedule()

    def all_as_schedule(self) -> dict[str, ModelEntry]:
        """Return the entries that are switched on, by name, but those that can't be read or never come due."""
        rows = self.enabled_models()
        entries = each(WORK, rows, self._entry, key=lambda row: f"schedule {row.name}", complete=True)
        return {entry.name: entry for entry in entries}

    def _entry(self, row: PeriodicTask) -> ModelEntry:
        entry = self.Entry(row, app=self.app)
        entry.schedule.is_due(entry.last_run_at)  # one that can't tell is named on the page Health
        return entry

    def tick(self, *args: object, **kwargs: object) -> float:
        """Send what is due, one entry a call; return the seconds until the next call."""
        before, self._offset = self._offset, _offset()
        if abs(self._offset - before) > STEP_SECONDS:
            logger.warning("the clock was set by %+.1f s: the schedule begins anew", self._offset - before)
            self._begin_anew()
        seconds: float = super().tick(*args, **kwargs)
        return seconds

    def _begin_anew(self) -> None:
        self.sync()  # what ran is stored before all entries are read again
        self._forget_future()
        self._initial_read = True
        self._heap = None  # ordered by the old time

    def _forget_future(self) -> None:
        """Take last runs that lie ahead of the clock for runs of just now, and the last change likewise.

        In the database: the schedule is read again every few minutes.
        """
        now = timezone.now()
        try:
            self.Model.objects.filter(last_run_at__gt=now).update(last_run_at=now)
            self.Changes.update_changed()  # changes are noticed by a later time of change
            self._last_timestamp = self.Changes.last_change()
        except DatabaseError as error:
            logger.warning("last runs ahead of the clock were left as they are: %s", error)


def _offset() -> float:
    return time.time() - time.monotonic()
