"""`./mem web`: the web process alone, as another host behind a proxy runs it."""

import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand

from algotrendy.database.pool import pool_connections
from algotrendy.serving.server import serve

# How long a thread that renders a page may keep the interpreter from the door, which needs it several times for
# each alert. Python's own 5 ms would add up.
SWITCH_SECONDS = 0.001


class Command(BaseCommand):
    """Serve pages, API, live socket and webhooks in this process."""

    help = "Serve pages, API, live socket and webhooks; `./mem up` runs it among the other processes."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
        parser.add_argument("--fd", type=int, help="descriptor of a socket that is already open")

    def handle(self, *, host: str, port: int, fd: int | None, **_: object) -> None:
        """Serve until a signal."""
        sys.setswitchinterval(SWITCH_SECONDS)
        pool_connections(settings.DATABASES["default"])
        from algotrendy.asgi import application

        serve(application, host=host, port=port, fd=fd)
