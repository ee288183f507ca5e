"""`./mem reconcile`: does the desk's ledger equal the venue's?"""

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers import sync
from brokers.contract import BrokerError
from brokers.ledger.reconcile import Difference, differences
from brokers.models import Connection

TRIES = 5  # orders move while we look: only what stays is a difference


class Command(BaseCommand):
    help = "Compare orders, fills and positions with each venue. Exits with 1 if anything differs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read which connection, and in what form to answer."""
        parser.add_argument("connection", nargs="?", help="Name of a connection; default: all that are on.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object per difference.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare and report."""
        total = 0
        for connection in _connections(options["connection"]):
            found = _lasting(connection)
            total += len(found)
            self._report(connection, found, as_json=options["json"])
        if total:
            raise SystemExit(1)

    def _report(self, connection: Connection, found: list[Difference], *, as_json: bool) -> None:
        if as_json:
            rows = [asdict(difference) for difference in found]
            self.stdout.write(json.dumps({"connection": connection.name, "differences": rows}))
            return
        for difference in found:
            self.stdout.write(f"{connection.name}: {difference.text}")
        if not found:
            self.stdout.write(f"{connection.name}: the ledger equals the venue's")


def _connections(name: str | None) -> list[Connection]:
    rows = Connection.objects.filter(name=name) if name else Connection.objects.filter(enabled=True)
    if name and not rows.exists():
        raise CommandError(f"There is no connection {name!r}.")
    return list(rows.order_by("name"))


def _lasting(connection: Connection) -> list[Difference]:
    found: list[Difference] = []
    try:
        for _ in range(TRIES):
            sync.sync_connection(connection.pk)
            seen, found = found, differences(connection)
            if not found or found == seen:
                break
            time.sleep(1)
    except BrokerError as error:
        raise CommandError(f"{connection.name} could not be read: {error}") from error
    return found
