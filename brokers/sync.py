"""Taking in what happened at a venue since we last looked."""

import logging

from django.db import transaction
from django.utils import timezone

from brokers.contract import Broker, BrokerError, OrderRejected, OutcomeUnknown, Updates
from brokers.models import Connection, Order, Position
from brokers.orders import reports
from brokers.venues import registry

logger = logging.getLogger(__name__)
ROUNDS = 50  # at most so many batches in one go; the next sweep continues


def sync_connection(connection_id: int) -> bool:
    """Take in a venue's updates until there are none; return whether the venue could be read.

    Safe to run twice at once: the cursor is moved by a claim, in the transaction that records the batch.
    """
    connection = Connection.objects.get(pk=connection_id)
    try:
        broker = registry.adapter(connection)
        conflicts: list[str] = []
        for _ in range(ROUNDS):
            updates = broker.updates(connection.cursor)
            if updates.cursor == connection.cursor:
                break
            conflicts += _record_batch(connection, updates)
            connection.refresh_from_db(fields=["cursor"])
    except BrokerError as error:
        _write_health(connection, Connection.Health.ERROR, str(error))
        return False
    _cancel_orphans(connection, broker)
    _write_health(connection, Connection.Health.ERROR if conflicts else Connection.Health.OK, "\n".join(conflicts))
    return True


def _record_batch(connection: Connection, updates: Updates) -> list[str]:
    """Record a batch and move the cursor; nothing when another worker was faster."""
    with transaction.atomic(durable=True):
        rows = Connection.objects.filter(pk=connection.pk, cursor=connection.cursor)
        if not rows.update(cursor=updates.cursor):
            return []
        conflicts = reports.record_all(connection, updates.orders)
    for conflict in conflicts:
        logger.error("%s: %s", connection.name, conflict)
    return conflicts


def _cancel_orphans(connection: Connection, broker: Broker) -> None:
    """Cancel stops and targets that a flat position left at the venue; venues with brackets did it themselves."""
    flat = Position.objects.filter(connection=connection, quantity=0).values("instrument_id")
    legs = Order.objects.filter(
        connection=connection,
        state__in=Order.AT_VENUE,
        parent__state__in=Order.FINAL,
        instrument_id__in=flat,
    )
    for leg in legs.select_related("connection"):
        try:
            reports.record_or_review(leg, broker.cancel(leg.client_order_id))
        except (OrderRejected, OutcomeUnknown) as error:
            logger.warning("leg %s could not be cancelled: %s", leg.pk, error)


def _write_health(connection: Connection, health: str, error: str) -> None:
    """Write down how the connection is; a healthy one at most every few seconds, as nobody looks more often."""
    now = timezone.now()
    same = connection.health == health and connection.last_error == error
    if same and connection.last_synced_at and (now - connection.last_synced_at).total_seconds() < 5:
        return
    values = {"health": health, "last_error": error}
    if health == Connection.Health.OK:
        Connection.objects.filter(pk=connection.pk).update(**values, last_synced_at=now)
    else:
        Connection.objects.filter(pk=connection.pk).update(**values)
