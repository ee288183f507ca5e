"""Emptying an account for good: our ledger of it, and its books at a venue that keeps them in our database."""

from django.db import connection as database

from brokers.models import Comparison, Connection, EquityMark, Fill, FillSum, Order, Position, Trade
from brokers.venues import registry


def can_erase(connection: Connection) -> bool:
    """Return whether an account may be emptied: only one whose venue is our own."""
    return registry.local_venue(connection.venue) is not None


def tables_to_lock() -> tuple[str, ...]:
    """Return the tables whose lock keeps workers out, in the order in which they reach for them."""
    books = (venue.books_table for venue in registry.local_venues())
    return (Connection._meta.db_table, *books, Order._meta.db_table)


def erase(connection: Connection) -> None:
    """Delete an account's ledger and empty its books, in the caller's transaction.

    What refers to its orders from above must be gone by then. Raises LookupError where `can_erase` is false.
    """
    venue = registry.local_venue(connection.venue)
    if venue is None:
        raise LookupError(f"the books of {connection} are not ours to empty")
    for model in (Fill, Position, Trade, Order, EquityMark, FillSum, Comparison):
        _delete_all(model._meta.db_table, connection.pk)
    newest = venue.erase(connection.pk)
    # A worker that read the venue's updates a moment ago must not record them now: its cursor is no longer ours.
    Connection.objects.filter(pk=connection.pk).update(
        cursor=max(connection.cursor, newest), health=Connection.Health.NEW, last_error=""
    )


def _delete_all(table: str, connection_id: int) -> None:
    """Delete rows without loading them: PostgreSQL checks all references at the end of the transaction."""
    with database.cursor() as cursor:
        query = f'DELETE FROM "{table}" WHERE connection_id = %s'  # noqa: S608 - tables of our own models
        cursor.execute(query, [connection_id])
