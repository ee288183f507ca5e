"""Celery's way in. Each task takes ids, may run twice, and repeats nothing that is done."""

from celery import shared_task

from brokers import sync
from brokers.ledger import equity
from brokers.models import Connection
from brokers.orders import cancelling, execution, recovery
from brokers.venues import registry


@shared_task(name="brokers.submit_order")
def submit_order(order_id: int) -> None:
    """Send one pending order, if it may leave now."""
    execution.submit(order_id)


@shared_task(name="brokers.cancel_order")
def cancel_order(order_id: int) -> None:
    """Ask the venue to cancel what is left of one order whose cancel is wanted."""
    cancelling.cancel(order_id)


@shared_task(name="brokers.look_up_order")
def look_up_order(order_id: int) -> None:
    """Ask the venue about one order in doubt."""
    recovery.look_up(order_id)


@shared_task(name="brokers.sync_connection")
def sync_connection(connection_id: int) -> None:
    """Take in what happened at a venue."""
    sync.sync_connection(connection_id)


@shared_task(name="brokers.match_paper")  # the name from when there was one local venue: queues still carry it
def match_orders(instrument_id: int) -> None:
    """Let local venues match their orders with new candles, and take in what traded."""
    for venue in registry.local_venues():
        for connection_id in sorted(venue.on_candle(instrument_id)):
            sync.sync_connection(connection_id)


@shared_task(name="brokers.sweep_orders")
def sweep_orders() -> None:
    """Find what lost nudges and dead workers left behind."""
    recovery.sweep()


@shared_task(name="brokers.mark_equity")
def mark_equity(connection_id: int | None = None) -> None:
    """Mark the equity of one connection, or of all that are switched on."""
    rows = Connection.objects.filter(enabled=True) if connection_id is None else Connection.objects.all()
    for connection in rows.filter(**({} if connection_id is None else {"pk": connection_id})):
        equity.mark_equity(connection)
