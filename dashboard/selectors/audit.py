"""Who changed what, as `dashboard.audit` and the admin pages wrote it down."""

from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet

SHOWN = 20


def newest() -> QuerySet[LogEntry]:
    """Return the newest entries with their people."""
    return LogEntry.objects.select_related("user", "content_type").order_by("-action_time")[:SHOWN]
