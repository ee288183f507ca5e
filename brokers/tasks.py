"""Celery's way in. Each task takes ids, may run twice, and repeats nothing that is done."""

from functools import partial

from celery import shared_task
from django.conf import settings

from algotrendy.isolation.rows import each
from algotrendy.retention import nightly
from brokers import sync, task_names
from brokers.contract import LocalVenue
from brokers.ledger import equity, thinning
from brokers.models import Connection, Order
from brokers.orders import cancelling, execution, recovery
from brokers.venues import registry


@shared_task(name="brokers.submit_order")
def submit_order(order_id: int) -> None:
    """Send one pending order, if it may leave now."""
    each(recovery.SUBMIT, [order_id], execution.submit, model=Order, swept=True)


@shared_task(name="brokers.cancel_order")
def cancel_order(order_id: int) -> None:
    """Ask the venue to cancel what is left of one order whose cancel is wanted."""
    each("brokers.cancel", [order_id], cancelling.cancel, model=Order)


@shared_task(name="brokers.look_up_order")
def look_up_order(order_id: int) -> None:
    """Ask the venue about one order in doubt."""
    each(recovery.LOOK_UP, [order_id], recovery.look_up, model=Order)


@shared_task(name="brokers.sync_connection")
def sync_connection(connection_id: int) -> None:
    """Take in what happened at a venue."""
    each(recovery.SYNC, [connection_id], sync.sync_connection, model=Connection, swept=True)


@shared_task(name="brokers.match_paper")  # the name from when there was one local venue: queues still carry it
def match_orders(instrument_id: int) -> None:
    """Let local venues match their orders with new candles, and take in what traded."""
    for venue in registry.local_venues():
        each(recovery.SYNC, sorted(venue.on_candle(instrument_id)), sync.sync_connection, model=Connection)


@shared_task(name="brokers.sweep_orders")
def sweep_orders() -> None:
    """Find what lost nudges and dead workers left behind."""
    recovery.sweep()


@shared_task(name=task_names.REMOVE_OLD)
def remove_old() -> int:
    """Thin old marks of equity, and the news of local venues."""
    kinds: dict[str, nightly.Batch] = {"marks of equity": thinning.thin_next_day}
    for name, venue in registry.local_venues_by_name():
        kinds[f"events of the {name} venue"] = partial(_compact, venue)
    return nightly.remove(task_names.REMOVE_OLD, kinds)


def _compact(venue: LocalVenue, progress: nightly.Progress) -> int | None:
    before = nightly.before(settings.KEEP_VENUE_EVENTS)
    return None if before is None else venue.compact(progress, before)


@shared_task(name="brokers.mark_equity")
def mark_equity(connection_id: int | None = None) -> None:
    """Mark the equity of one connection, or of all that are switched on."""
    every = connection_id is None
    rows = Connection.objects.filter(**({"enabled": True} if every else {"pk": connection_id}))
    each("brokers.mark_equity", rows, equity.mark_equity, complete=every)
