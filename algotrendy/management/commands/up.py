"""`./mem up`: start the desk and keep it running."""

import os
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from algotrendy import paths


class Command(BaseCommand):
    """Start PostgreSQL, Valkey and every process of the desk, and keep them running until Ctrl-C."""

    help = "Start the desk: database, queue, web, workers, beat and feeds, until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, default=8000, help="port of the web pages and webhooks (8000)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument("--clean", action="store_true", help="start without the demo source")
        parser.add_argument(
            "--without-dump", action="store_true", help="update tables without writing a backup first"
        )

    def handle(self, *, host: str, port: int, clean: bool, without_dump: bool, **_: object) -> None:
        """Become the supervisor: a fresh process, because Django's memory would stay for as long as it runs."""
        os.environ["ALGOTRENDY_DATA"] = str(paths.data_dir())
        os.chdir(paths.BASE_DIR)
        argv = [sys.executable, "-m", "algotrendy.supervisor"]
        argv += ["--host", host, "--port", str(port)]
        argv += ["--clean"] if clean else []
        argv += ["--without-dump"] if without_dump else []
        sys.stdout.flush()
        os.execv(sys.executable, argv)  # noqa: S606
