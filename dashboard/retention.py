"""What signing in and beat leave behind."""

from celery import current_app
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from algotrendy.retention.nightly import Progress

SESSIONS_AT_ONCE = 1000


def delete_sessions(progress: Progress) -> int | None:
    """Delete some sessions that have expired; None when there are no more."""
    expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    keys = list(expired.values_list("pk", flat=True)[:SESSIONS_AT_ONCE])
    return Session.objects.filter(pk__in=keys).delete()[0] or None if keys else None


def delete_schedules(progress: Progress) -> int | None:
    """Delete what beat would send to nobody: entries of tasks that an update took away; None without any."""
    entries = PeriodicTask.objects.exclude(name__in=settings.CELERY_BEAT_SCHEDULE)
    dead = [entry.pk for entry in entries.only("pk", "task") if entry.task not in current_app.tasks]
    if not dead:
        return None
    count = PeriodicTask.objects.filter(pk__in=dead).delete()[0]
    PeriodicTasks.update_changed()
    return count
