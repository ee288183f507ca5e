"""`./mem door`: the door in a process of its own, where no slow page can delay an alert."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from algotrendy.serving.server import serve


class Command(BaseCommand):
    """Serve /webhooks/… and nothing else."""

    help = "Take in alerts in a process of its own: a proxy sends /webhooks/ here and all else to web."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8001, help="port to listen on (8001)")

    def handle(self, *, host: str, port: int, **_: object) -> None:
        """Serve until a signal."""
        from algotrendy.asgi import door_alone

        serve(door_alone(), host=host, port=port)
