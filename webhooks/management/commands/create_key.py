"""`./mem create_key NAME`: make a key of the JSON API and print it, once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from webhooks import services
from webhooks.models import ApiKey


class Command(BaseCommand):
    """Make a key. Each scope includes the ones before it: read, trade, admin."""

    help = "Make a key of the JSON API and print it; it can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("name", help="who or what will use it")
        parser.add_argument("--scope", choices=ApiKey.Scope.values, default=ApiKey.Scope.READ.value)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: Any) -> None:
        """Make the key and print it."""
        try:
            row, key = services.create_key(name=options["name"], scope=options["scope"])
        except IntegrityError as error:
            raise CommandError(f"there is a key {options['name']!r} already") from error
        if options["json"]:
            self.stdout.write(json.dumps({"key": key, "name": row.name, "scope": row.scope, "id": row.pk}))
        else:
            self.stdout.write(f"{key}\nSend it as `Authorization: Bearer …`. Keep it: it is shown once.")
