"""`manage.py prepare_desk`: bring the database up to date before the desk's processes start."""

import importlib
import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


def hook(module: str, name: str) -> Callable[..., Any]:
    """Return `name` of `module` of the dashboard, which lies above this package and may not be imported by it."""
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


class Command(BaseCommand):
    """Migrate, make the first administrator and the demo, and print one JSON line for the supervisor."""

    help = "Migrate and prepare the desk's first rows; `./mem up` runs it at every start."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--clean", action="store_true", help="without the demo")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; progress goes to standard error."""
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        for step in hook("dashboard.services", "prepare_desk")(clean=options["clean"]):
            self.stderr.write(step)
        link = hook("dashboard.accounts", "sign_in_link")(settings.PUBLIC_URL)
        self.stdout.write(json.dumps({"sign_in_link": link}))
