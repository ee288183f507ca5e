"""`./mem halt`: send nothing any more."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from brokers.models import Desk
from brokers.services import set_desk_state


class Command(BaseCommand):
    help = "Halt the desk: no order leaves until `./mem resume`. Stops and targets at the venue stay."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read the reason."""
        parser.add_argument("--reason", default="halted from the command line")

    def handle(self, *args: object, **options: Any) -> None:
        """Halt, and return when nothing is on its way any more."""
        set_desk_state(state=Desk.State.HALTED, by=None, reason=options["reason"], who="./mem halt")
        self.stdout.write("The desk is halted: nothing is sent. `./mem resume` lets it trade again.")
