"""Beat's schedule for the page Health: whether every task of it succeeds in time."""

from datetime import datetime, timedelta

from celery.schedules import crontab
from django.conf import settings
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from algotrendy.isolation.models import ScheduledRun
from dashboard.formatting import duration

#: How late a task may be before it is called late: a few of its intervals, and a minute at least.
INTERVALS_OF_PATIENCE = 3
PATIENCE, DAILY_PATIENCE = timedelta(seconds=60), timedelta(hours=1)
#: So often beat must have sent a task that never succeeded before that is called late.
SENT_IN_VAIN = 3


def problems(now: datetime | None = None) -> list[str]:
    """Return in words what of the schedule is late, failed or switched off; empty if nothing is. Two queries."""
    runs = {run.name: run for run in ScheduledRun.objects.all()}
    entries = PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked").order_by("name")
    texts = (_problem(entry, runs.get(entry.name), now or timezone.now()) for entry in entries)
    return [text for text in texts if text]


def _problem(entry: PeriodicTask, run: ScheduledRun | None, now: datetime) -> str:
    """Return what is wrong with one entry of the schedule; empty if nothing is."""
    if not entry.enabled:
        return f"{entry.name} is switched off" if entry.name in settings.CELERY_BEAT_SCHEDULE else ""
    try:
        late = _late(entry, run, now)
    except Exception as error:  # whatever is written in the times of an entry: it is that entry's alone
        return f"{entry.name} has times that can't be read: {error}"
    if run and run.failed_at and (run.succeeded_at is None or run.succeeded_at < run.failed_at):
        return f"{entry.name} failed {duration((now - run.failed_at).total_seconds())} ago: {run.error}"
    return late


def _late(entry: PeriodicTask, run: ScheduledRun | None, now: datetime) -> str:
    schedule = entry.schedule
    if run is None or run.succeeded_at is None:
        sent = entry.total_run_count
        return f"{entry.name} was sent {sent} times and never succeeded" if sent >= SENT_IN_VAIN else ""
    if isinstance(schedule, crontab):
        patience = DAILY_PATIENCE
    else:
        patience = max(PATIENCE, INTERVALS_OF_PATIENCE * getattr(schedule, "run_every", timedelta(0)))
    due = timezone.now() + schedule.remaining_estimate(run.succeeded_at)
    age = duration((now - run.succeeded_at).total_seconds())
    return f"{entry.name} is late: it last succeeded {age} ago" if now > due + patience else ""
