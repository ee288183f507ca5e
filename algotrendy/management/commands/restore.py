"""`./mem restore FILE`: the way back from `./mem backup`."""

import argparse
import time
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from algotrendy.backup import restoring
from algotrendy.backup.errors import BackupError
from algotrendy.backup.signals import database_restored


class Command(BaseCommand):
    help = (
        "Restore a backup into this desk's place, while the desk is down. Nothing is replaced before the whole "
        "backup is restored and compared; what was there before is kept aside. Restore only files that you trust "
        "as you trust this program."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the file and the leave to replace a desk."""
        parser.add_argument("file", nargs="?", type=Path, help="a file of ./mem backup, or of ./mem up's updates")
        parser.add_argument("--yes", action="store_true", help="replace the desk that is there")
        parser.add_argument("--finish", action="store_true", help=argparse.SUPPRESS)  # in the restored database

    def handle(self, *, file: Path | None, yes: bool, finish: bool, **_: object) -> None:
        """Restore, and say each step."""
        if finish:
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
            database_restored.send(type(self))
            return
        if file is None:
            raise CommandError("Which file? ./mem restore FILE")
        began = time.monotonic()
        try:
            restoring.restore(file.expanduser(), replace=yes, say=self.stdout.write)
        except (BackupError, OSError) as error:
            raise CommandError(f"{error}\nNothing was replaced.") from error
        self.stdout.write(
            f"Restored in {time.monotonic() - began:.1f} s. New orders have new ids, so that a venue cannot take "
            "them for old ones.\nNext: ./mem up, then ./mem reconcile. Sources, keys and people are as they were: "
            "revoke again what you revoked since the backup."
        )
