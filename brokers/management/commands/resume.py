"""`./mem resume`: trade again after HALTED or REDUCING."""

from django.core.management.base import BaseCommand

from brokers.models import Desk
from brokers.selectors import desk
from brokers.services import set_desk_state


class Command(BaseCommand):
    help = "Let the desk trade again after a halt."

    def handle(self, *args: object, **options: object) -> None:
        """Set the desk active and print what it was before."""
        before = desk()
        if before.state == Desk.State.ACTIVE:
            self.stdout.write("The desk is active already.")
            return
        set_desk_state(state=Desk.State.ACTIVE, by=None, reason="", who="./mem resume")
        why = f" ({before.reason})" if before.reason else ""
        self.stdout.write(f"The desk is active; it was {before.get_state_display().lower()}{why}.")
