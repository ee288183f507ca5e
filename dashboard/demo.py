"""Taking the demo away: all of it where nobody else traded beside it, else only its access."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, transaction
from django.db import connection as database
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.history.changes import note
from algotrendy.locks import lock_in_transaction
from algotrendy.monitoring.outage import is_outage
from brokers.ledger import erasing
from brokers.models import Connection, Fill, Order, Trade
from brokers.selectors import open_positions
from dashboard.models import Setup
from dashboard.signals import demo_removed
from memory.models import Decision, DecisionOrder, Tally
from webhooks.inbox import LOCK as INBOX_LOCK
from webhooks.models import Alert, Source

ATTEMPTS = 3


class DeskBusy(Exception):
    """The desk could not be brought to a stop, so nothing was changed."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the demo left. `shared`: other sources ordered on its connection too, so its orders stay.

    `orders`, `fills` and `trades` are those that would go: all of the account, or of a shared one the demo's own.
    `positions` are the account's open ones.
    """

    source: Source
    connection: Connection
    shared: bool
    alerts: int
    decisions: int
    orders: int
    fills: int
    trades: int
    positions: int


def demo_source() -> Source | None:
    """Return the demo, or None when there is none (any more)."""
    return Source.objects.select_related("connection").filter(is_demo=True, revoked_at=None).first()


def footprint() -> Footprint | None:
    """Return what would go with the demo, or None when there is no demo."""
    source = demo_source()
    if source is None:
        return None
    account, shared = source.connection, _is_shared(source)
    orders = Order.objects.filter(connection=account)
    if shared:
        orders = orders.filter(decision_link__decision__source=source.slug)
    fills = Fill.objects.filter(order__in=orders)
    return Footprint(
        source=source,
        connection=account,
        shared=shared,
        alerts=Alert.objects.filter(source=source).count(),
        decisions=Decision.objects.filter(source=source.slug).count(),
        orders=orders.count(),
        fills=fills.count(),
        trades=Trade.objects.filter(fills__in=fills).distinct().count(),
        positions=open_positions(account.pk).count(),
    )


def _is_shared(source: Source) -> bool:
    """Return whether the account is anybody else's too, or not ours to empty."""
    others = DecisionOrder.objects.filter(order__connection=source.connection).exclude(
        decision__source=source.slug
    )
    return not erasing.can_erase(source.connection) or others.exists()


def remove(*, by: AbstractBaseUser | None) -> Footprint | None:
    """Remove the demo for good and return what it was; None when there was none any more.

    Idempotent; everything happens in one transaction or not at all.
    Raises DeskBusy, with nothing changed, when the desk could not be brought to a stop for it.
    """
    for _ in range(ATTEMPTS):
        try:
            return _remove(by)
        except OperationalError as error:
            if is_outage(error):
                raise
            # A deadlock with a worker or a lock that took too long: nothing has happened, its work is done by now.
    raise DeskBusy("the desk could not be brought to a stop for it")


def _remove(by: AbstractBaseUser | None) -> Footprint | None:
    with transaction.atomic():
        _stop_everybody()
        left = footprint()
        if left is None:
            return None
        source = left.source
        name = source.name
        if left.shared:
            _revoke(source)
        else:
            _erase(source)
        setup, _ = Setup.objects.get_or_create(id=1)
        setup.demo_removed_at = timezone.now()
        setup.save(update_fields=["demo_removed_at"])
        note(by, setup, f"removed the demo source {name}", name="The demo")
        announce(demo_removed, sender=Setup)
        return left


def _stop_everybody() -> None:
    """Let what is being decided, sent or matched finish, and keep it from beginning anew until we are done.

    Whoever comes later finds no rows: its claims claim nothing.
    """
    # In the order in which the desk's own transactions reach for them, so that waiting can't become a deadlock.
    tables = ("webhooks_source", "webhooks_alert", *erasing.tables_to_lock(), "memory_decision")
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '25s'")
        lock_in_transaction(INBOX_LOCK)
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")


def _revoke(source: Source) -> None:
    Source.objects.filter(pk=source.pk).update(revoked_at=timezone.now())
    Tally.objects.filter(source=source.slug).delete()


def _erase(source: Source) -> None:
    """Delete the demo's rows and empty its account, from the leaves to the root of what refers to what."""
    account, slug = source.connection, source.slug
    _delete("webhooks_alert", "source_id = %s", source.pk)
    for table in ("memory_outcome", "memory_decisionorder"):
        _delete(table, "decision_id IN (SELECT id FROM memory_decision WHERE source = %s)", slug)
    _delete("memory_decision", "source = %s", slug)
    erasing.erase(account)
    Tally.objects.filter(source=slug).delete()
    Source.objects.filter(pk=source.pk).delete()


def _delete(table: str, condition: str, value: int | str) -> None:
    """Delete rows without loading them: PostgreSQL checks all references at the end of the transaction."""
    with database.cursor() as cursor:
        cursor.execute(f'DELETE FROM "{table}" WHERE {condition}', [value])  # noqa: S608 (constants above)
