"""`./mem prepare`: migrate, and make what a new desk needs. `./mem up` does it at every start."""

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from algotrendy.backup import creating
from algotrendy.backup.errors import BackupError
from algotrendy.monitoring.health import unapplied_migrations
from dashboard.accounts.sign_in import sign_in_link
from dashboard.services import prepare_desk


class Command(BaseCommand):
    help = "Migrate; make the first admin, the simulated market, the paper account and the demo where missing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to do without the demo."""
        parser.add_argument("--clean", action="store_true", help="No demo source.")
        parser.add_argument("--without-dump", action="store_true", help="No backup before the tables change.")

    def handle(self, *args: object, **options: Any) -> None:
        """Prepare; a desk that has everything stays as it is.

        Steps go to standard error, one JSON line with the sign-in link (or null) to standard output.
        """
        if not options["without_dump"]:
            self._back_up()
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        for step in prepare_desk(clean=options["clean"]):
            self.stderr.write(step)
        self.stdout.write(json.dumps({"sign_in_link": sign_in_link(settings.PUBLIC_URL)}))

    def _back_up(self) -> None:
        """Write a backup if tables are about to change that hold something. Raises CommandError to stop that."""
        missing = unapplied_migrations()
        if not missing or not MigrationRecorder(connection).applied_migrations():
            return
        try:
            path = creating.before_update()
        except BackupError as error:
            raise CommandError(
                f"The backup before the update failed, so nothing was changed. {error} "
                "To update without one: ./mem up --without-dump"
            ) from error
        self.stderr.write(
            f"Wrote a backup before {len(missing)} changes of tables: {path}. To go back: check out the version "
            f"before, then ./mem restore {path} --yes"
        )
