"""Who changed what: people as Django's log has them, admin pages included, and everybody else."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry

from algotrendy.history.models import Change

SHOWN = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: when (wall time), by whom, of what, and how."""

    at: datetime
    who: str
    name: str
    text: str


def newest() -> list[Entry]:
    """Return the newest changes by anybody. Two queries."""
    people = LogEntry.objects.select_related("user", "content_type").order_by("-action_time")[:SHOWN]
    others = Change.objects.order_by("-at", "-id")[:SHOWN]
    entries = [
        Entry(row.action_time, row.user.get_username(), row.object_repr, row.get_change_message())
        for row in people
    ]
    entries += [Entry(row.at, row.who, row.name, row.text) for row in others]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:SHOWN]
