"""`./mem prepare`: migrate, and make what a new desk needs. `./mem up` does it at every start."""

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from dashboard.accounts.sign_in import sign_in_link
from dashboard.services import prepare_desk


class Command(BaseCommand):
    help = "Migrate; make the first admin, the simulated market, the paper account and the demo where missing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to do without the demo."""
        parser.add_argument("--clean", action="store_true", help="No demo source.")

    def handle(self, *args: object, **options: Any) -> None:
        """Prepare; a desk that has everything stays as it is.

        Steps go to standard error, one JSON line with the sign-in link (or null) to standard output.
        """
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        for step in prepare_desk(clean=options["clean"]):
            self.stderr.write(step)
        self.stdout.write(json.dumps({"sign_in_link": sign_in_link(settings.PUBLIC_URL)}))
