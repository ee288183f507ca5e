"""Reads of the inbox that more than one module needs."""

from django.db.models import Min
from django.utils import timezone

from webhooks.models import Alert


def queue_age() -> float | None:
    """Return the age of the oldest undecided alert in seconds, or None if none waits."""
    oldest = Alert.objects.filter(state=Alert.State.RECEIVED).aggregate(at=Min("received_at"))["at"]
    return (timezone.now() - oldest).total_seconds() if oldest else None
