"""`./mem doctor`: say what is wrong, and what to do."""

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from algotrendy import paths
from algotrendy.monitoring import doctor


class Command(BaseCommand):
    """Examine the installation; the exit code is 1 if something is wrong."""

    help = "Say what is wrong with this installation, and what to do; exits with 1 if anything is."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, default=8000, help="the port to look at (8000)")

    def handle(self, *, port: int, **_: object) -> None:
        """Write a line for each finding as it is found."""
        wrong = 0
        for finding in doctor.examine(paths.data_dir(), port):
            self.stdout.write(str(finding))
            wrong += finding.good is False
        self.stdout.write(f"\n{wrong} to mend" if wrong else "\nAll is well")
        sys.exit(1 if wrong else 0)
