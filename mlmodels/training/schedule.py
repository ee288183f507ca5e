"""When models are trained again: a row of beat's schedule, made once and then the admin's to edit."""

from datetime import datetime, timedelta

from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

NAME = "Retrain models"
TASK = "mlmodels.retrain_all"
HOUR, MINUTE = "3", "10"  # UTC, after the day's candles are in


def ensure_schedule() -> bool:
    """Make the daily retrain if a desk never had one; return whether it was made. What a person edited stays."""
    if PeriodicTask.objects.filter(name=NAME).exists():
        return False
    daily, _ = CrontabSchedule.objects.get_or_create(
        minute=MINUTE, hour=HOUR, day_of_week="*", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    PeriodicTask.objects.create(
        name=NAME, task=TASK, crontab=daily, queue="training", expire_seconds=3600,
        description="Trains a challenger for each market; the gate decides whether it replaces the champion.",
    )  # fmt: skip
    return True


def retrain_task() -> PeriodicTask | None:
    """Return beat's row, if nobody removed it."""
    task: PeriodicTask | None = (
        PeriodicTask.objects.select_related("crontab", "interval").filter(name=NAME).first()
    )
    return task


def next_retrain() -> datetime | None:
    """Return the wall time of the next scheduled retrain; None if it is switched off or removed."""
    task = retrain_task()
    if task is None or not task.enabled:
        return None
    at = timezone.now()
    last = task.last_run_at or task.date_changed
    due: datetime = at + task.schedule.remaining_estimate(last)
    # The estimate was made a moment after `at`.
    return max((due + timedelta(seconds=1)).replace(microsecond=0), at)
