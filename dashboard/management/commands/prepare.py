"""`./mem prepare`: make what a new desk needs. `./mem up` does it at every start."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dashboard.services import prepare_desk


class Command(BaseCommand):
    help = "Make the first admin, the simulated market, the paper connection and the demo, where they are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to do without the demo."""
        parser.add_argument("--clean", action="store_true", help="No demo source.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare; nothing happens on a desk that has everything."""
        for step in prepare_desk(clean=options["clean"]):
            self.stdout.write(step)
