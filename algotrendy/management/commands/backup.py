"""`./mem backup`: one file with everything that a desk is."""

import time
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from algotrendy.backup import creating
from algotrendy.backup.errors import BackupError


class Command(BaseCommand):
    help = (
        "Write a backup: the database, the secrets and the reports of imports, of one moment. Works while the "
        "desk runs and while it is down. ./mem restore FILE brings it back."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the file."""
        parser.add_argument(
            "file", nargs="?", type=Path, help="a new file (backups/desk-DATE-VERSION.zip in the data folder)"
        )

    def handle(self, *, file: Path | None, **_: object) -> None:
        """Write it, and say what is in it."""
        path = (file or creating.default_path()).expanduser().absolute()
        began = time.monotonic()
        try:
            with creating.database_up():
                manifest = creating.create(path)
        except BackupError as error:
            raise CommandError(str(error)) from error
        rows = sum(table.rows for table in manifest.tables.values())
        self.stdout.write(
            f"{path}: {path.stat().st_size / 1e6:,.1f} MB, {rows:,} rows in {len(manifest.tables)} tables, "
            f"version {manifest.version}, {time.monotonic() - began:.1f} s\n"
            "It holds the desk's secrets: whoever has this file can sign in, send alerts and trade. Keep it as "
            "secret as the desk, on another machine."
        )
