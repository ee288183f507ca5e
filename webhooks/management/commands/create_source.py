"""`./mem create_source NAME`: make a source of alerts and print its webhook address, once."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from brokers.models import Connection
from brokers.services import ensure_default_connection
from memory.intents import Policy
from webhooks import addresses, services
from webhooks.models import Source

RISK = Source._meta.get_field("risk_pct").default


class Command(BaseCommand):
    """Make a source. Its address holds its token, which is stored only as a hash."""

    help = "Make a source of alerts and print its webhook address; it can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("name", help='as you would call it: "EMA cross on BTC"')
        parser.add_argument(
            "--policy",
            choices=Policy.values(),
            default=Policy.SHADOW.value,
            help="what its alerts may lead to (shadow: never an order)",
        )
        parser.add_argument("--connection", help="name of the connection it trades on (the only one, else paper)")
        parser.add_argument("--sizing", choices=Source.Sizing.values, default=Source.Sizing.RISK.value)
        parser.add_argument("--risk", type=Decimal, default=RISK, help=f"%% of equity risked per entry ({RISK})")
        parser.add_argument("--notional", type=Decimal, help="value per entry, with --sizing notional")
        parser.add_argument("--staleness", type=int, default=60, help="seconds after which it may not open (60)")
        parser.add_argument("--no-short", action="store_true", help="never go short")
        parser.add_argument("--allow", action="append", default=[], metavar="ADDRESS", help="may be repeated")
        parser.add_argument("--secret", default="", help="asked for in the body of every alert")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: Any) -> None:
        """Make the source and print where to post."""
        if options["sizing"] == Source.Sizing.NOTIONAL and not (options["notional"] or 0) > 0:
            raise CommandError("--sizing notional needs --notional VALUE above zero")
        try:
            source, token = _create(options)
        except IntegrityError as error:
            raise CommandError(
                f"there is a source {options['name']!r} already, or a value is out of range"
            ) from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        url = addresses.webhook_url(token)
        if options["json"]:
            self.stdout.write(json.dumps({"url": url, "slug": source.slug, "id": source.pk}))
        else:
            self.stdout.write(
                f"{source.name} ({source.policy}) takes alerts at\n  {url}\nKeep it: it is shown once."
            )


def _create(options: Mapping[str, Any]) -> tuple[Source, str]:
    source, token = services.create_source(
        name=options["name"],
        connection=_connection(options["connection"]),
        policy=options["policy"],
        sizing=options["sizing"],
        risk_pct=options["risk"],
        notional=options["notional"],
        staleness_seconds=options["staleness"],
        allow_short=not options["no_short"],
        allowed_networks=options["allow"],
    )
    if options["secret"]:
        services.set_body_secret(source=source, secret=options["secret"])
    return source, token


def _connection(name: str | None) -> Connection:
    """Return the connection of this name; without one the only one there is, else the first of paper."""
    connections = list(Connection.objects.order_by("pk"))
    chosen = _named(connections, name) if name else _default(connections)
    if chosen:
        return chosen
    if name or connections:
        names = ", ".join(connection.name for connection in connections) or "none"
        raise CommandError(f"no such connection; there are: {names}")
    return ensure_default_connection()


def _named(connections: list[Connection], name: str) -> Connection | None:
    return next((connection for connection in connections if connection.name == name), None)


def _default(connections: list[Connection]) -> Connection | None:
    if len(connections) == 1:
        return connections[0]
    return next((connection for connection in connections if connection.mode == Connection.Mode.PAPER), None)
