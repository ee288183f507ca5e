"""What beat has done for the pages: signs of life, and comparing books."""

import os
import socket
from datetime import datetime

from celery import Task, shared_task
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.isolation.rows import each
from brokers.contract import BrokerError
from brokers.ledger.reconcile import differences
from brokers.models import Connection
from dashboard.models import HEARTBEAT_SECONDS, Heartbeat, Reconciliation
from dashboard.signals import books_compared

SHOWN_DIFFERENCES = 50


@shared_task(name="dashboard.heartbeat", bind=True)
def heartbeat(self: Task, queue: str) -> None:
    """Write down that beat, broker, a worker of `queue` and the database work together."""
    Heartbeat.objects.update_or_create(
        queue=queue,
        defaults={
            "at": timezone.now(),
            "host": socket.gethostname()[:100],
            "pid": os.getpid(),
            "waited_seconds": waited(self.request.expires, timezone.now()),
        },
    )


def waited(expires: datetime | str | None, now: datetime) -> float | None:
    """Return the seconds from beat to the worker: a message expires `HEARTBEAT_SECONDS` after it was sent."""
    if not expires:
        return None
    moment = datetime.fromisoformat(expires) if isinstance(expires, str) else expires
    return max(0.0, HEARTBEAT_SECONDS - (moment - now).total_seconds())


@shared_task(name="dashboard.reconcile")
def reconcile() -> None:
    """Compare our books with every venue's, for the health page."""
    each("dashboard.reconcile", Connection.objects.filter(enabled=True), reconcile_one, complete=True)
    announce(books_compared, sender=Reconciliation)


def reconcile_one(connection: Connection) -> Reconciliation:
    """Compare and keep the result. A venue that can't be read is a result too."""
    texts, error = [], ""
    try:
        texts = [difference.text for difference in differences(connection)[:SHOWN_DIFFERENCES]]
    except BrokerError as trouble:
        error = str(trouble) or type(trouble).__name__
    values = {"at": timezone.now(), "differences": texts, "error": error}
    return Reconciliation.objects.update_or_create(connection=connection, defaults=values)[0]
