"""What beat has done for the pages: signs of life, and comparing books."""

import os
import socket
from collections.abc import Sequence
from datetime import datetime

from celery import Task, shared_task
from django.utils import timezone

from algotrendy.events import announce, nudge
from algotrendy.isolation.rows import each
from algotrendy.retention import nightly
from brokers import sync
from brokers.contract import BrokerError
from brokers.ledger import reconcile as books
from brokers.ledger.differences import Difference
from brokers.models import Connection
from dashboard import retention
from dashboard.models import HEARTBEAT_SECONDS, Heartbeat, Reconciliation
from dashboard.signals import books_compared

RECONCILE, REMOVE_OLD = "dashboard.reconcile", "dashboard.remove_old"
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


@shared_task(name=REMOVE_OLD)
def remove_old() -> int:
    """Delete expired sessions, and entries of beat for tasks that are no more."""
    kinds = {"expired sessions": retention.delete_sessions, "entries of beat": retention.delete_schedules}
    return nightly.remove(REMOVE_OLD, kinds)


@shared_task(name=RECONCILE)
def reconcile(connection_id: int | None = None) -> None:
    """Compare our books with every venue's, or with one, for the health page: so many steps, then others' turn."""
    rows = Connection.objects.filter(enabled=True)
    chosen = rows.filter(**({} if connection_id is None else {"pk": connection_id}))
    each(RECONCILE, chosen, _go_on, complete=connection_id is None)
    announce(books_compared, sender=Reconciliation)


def _go_on(connection: Connection) -> None:
    if reconcile_some(connection) is None:
        nudge(RECONCILE, connection.pk)


def reconcile_some(connection: Connection) -> Reconciliation | None:
    """Compare for a while, once a day from the first order on, and keep what was concluded; None if it goes on."""
    try:
        progress = books.advance(connection, full=books.full_is_due(connection))
        if progress.complete and progress.differences:
            # What the venue did a moment ago is no difference: take it in and look again.
            sync.sync_connection(connection.pk)
            progress = books.advance(connection)
    except BrokerError as trouble:
        return _keep(connection, error=str(trouble) or type(trouble).__name__)
    return _keep(connection, progress.differences) if progress.complete else None


def reconcile_one(connection: Connection) -> Reconciliation:
    """Compare to the end from the last checkpoint on, and keep the result: one that can't be read is one too."""
    try:
        return _keep(connection, books.differences(connection))
    except BrokerError as trouble:
        return _keep(connection, error=str(trouble) or type(trouble).__name__)


def _keep(connection: Connection, differences: Sequence[Difference] = (), error: str = "") -> Reconciliation:
    texts = [difference.text for difference in differences[:SHOWN_DIFFERENCES]]
    values = {
        "at": timezone.now(),
        "differences": texts,
        "error": error,
        "verified_at": books.verified_at(connection),
    }
    return Reconciliation.objects.update_or_create(connection=connection, defaults=values)[0]
