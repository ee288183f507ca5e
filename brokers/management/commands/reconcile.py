"""`./mem reconcile`: does the desk's ledger equal the venue's?"""

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers import sync
from brokers.contract import BrokerError
from brokers.ledger import reconcile
from brokers.ledger.reconcile import Difference
from brokers.models import Connection

TRIES = 5  # orders move while we look: only what stays is a difference


class Command(BaseCommand):
    help = "Compare orders, fills and positions with each venue. Exits with 1 if anything differs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read which connection, how far back, and in what form to answer."""
        parser.add_argument("connection", nargs="?", help="Name of a connection; default: all that are on.")
        parser.add_argument(
            "--full", action="store_true",
            help="Compare all history, as is done once a day. Default: what changed since, and what is open.",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="Print one JSON object per connection.")

    def handle(self, *args: object, **options: Any) -> None:
        """Compare and report."""
        total = 0
        for connection in _connections(options["connection"]):
            differing = _lasting(connection, full=options["full"])
            total += len(differing)
            self._report(connection, differing, as_json=options["json"])
        if total:
            raise SystemExit(1)

    def _report(self, connection: Connection, differing: list[Difference], *, as_json: bool) -> None:
        if as_json:
            rows = [asdict(difference) for difference in differing]
            self.stdout.write(json.dumps({"connection": connection.name, "differences": rows}))
            return
        for difference in differing:
            self.stdout.write(f"{connection.name}: {difference.text}")
        if not differing:
            at = reconcile.verified_at(connection)
            when = f"; all history was compared at {at:%Y-%m-%d %H:%M} UTC" if at else ""
            self.stdout.write(f"{connection.name}: the ledger equals the venue's{when}")


def _connections(name: str | None) -> list[Connection]:
    rows = Connection.objects.filter(name=name) if name else Connection.objects.filter(enabled=True)
    if name and not rows.exists():
        raise CommandError(f"There is no connection {name!r}.")
    return list(rows.order_by("name"))


def _lasting(connection: Connection, *, full: bool) -> list[Difference]:
    """Return the differences that stay. After the first look only what differed is looked at again."""
    differing: list[Difference] = []
    try:
        for turn in range(TRIES):
            sync.sync_connection(connection.pk)
            before, differing = differing, reconcile.differences(connection, full=full and turn == 0)
            if not differing or differing == before:
                break
            time.sleep(1)
    except BrokerError as error:
        raise CommandError(f"{connection.name} could not be read: {error}") from error
    return differing
