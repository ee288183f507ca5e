"""`./mem test`: every check that a change must pass, each with a line of its own."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand

from algotrendy.browser import provide_chromium
from algotrendy.paths import BASE_DIR

# Django only warns if there is no database to compare the history of migrations with.
NO_DATABASE = ("-W", "ignore::RuntimeWarning")
PYTHON = sys.executable
# Djade is a program and no module, and takes files rather than a folder.
DJADE = str(Path(sysconfig.get_path("scripts")) / "djade")
TEMPLATES = tuple(sorted(str(path) for path in (BASE_DIR / "templates").rglob("*.html")))
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff: lint", (PYTHON, "-m", "ruff", "check", "--quiet", "--no-cache", ".")),
    ("ruff: format", (PYTHON, "-m", "ruff", "format", "--check", "--quiet", "--no-cache", ".")),
    ("djade: templates", (DJADE, "--check", "--target-version", "5.2", *TEMPLATES)),
    ("mypy: types", (PYTHON, "-m", "mypy", ".")),
    ("django: checks", (PYTHON, "manage.py", "check")),
    ("django: migrations", (PYTHON, *NO_DATABASE, "manage.py", "makemigrations", "--check", "--dry-run")),
)

# All tests run side by side, a file at a time, in the order of tests/conftest.py; each worker starts a PostgreSQL
# and a Valkey of its own. Somebody who names tests gets one process, where a debugger works.
SIDE_BY_SIDE = ("-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile", "--no-loadscope-reorder")


class Command(BaseCommand):
    """Run linter, formatter, types, migrations and tests, and stop at the first that fails."""

    help = "Run every check and test; what follows is passed on to pytest (./mem test -k door)."
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """Take the arguments as they are: they are pytest's."""
        if argv[2:3] in (["-h"], ["--help"]):
            super().run_from_argv(argv)
        else:
            self.handle(*argv[2:])

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("arguments", nargs="*", help="arguments of pytest")

    def handle(self, *args: str, **options: object) -> None:
        """Run everything; the exit code is that of the first check that fails."""
        environment = _without_desk()
        with tempfile.TemporaryDirectory(prefix="desk-checks-") as data:
            for name, command in CHECKS:
                self._check(name, command, environment | {"ALGOTRENDY_DATA": data})
        self._browser(needed=not args)
        self.stdout.write("\npytest")
        self.stdout.flush()
        os.chdir(BASE_DIR)
        os.execve(sys.executable, [sys.executable, "-m", "pytest", *(args or SIDE_BY_SIDE)], environment)  # noqa: S606

    def _browser(self, *, needed: bool) -> None:
        """Find or install a Chromium. Somebody who chose tests may have chosen some that need none."""
        try:
            self.stdout.write(f"✓ browser: {provide_chromium()}")
        except RuntimeError as error:
            self.stdout.write(f"✗ browser: {error}")
            if needed:
                sys.exit(1)

    def _check(self, name: str, command: tuple[str, ...], environment: dict[str, str]) -> None:
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=BASE_DIR, env=environment, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        mark = "✓" if done.returncode == 0 else "✗"
        self.stdout.write(f"{mark} {name} ({time.monotonic() - began:.1f} s)")
        if done.returncode != 0:
            self.stdout.write(done.stdout)
            sys.exit(done.returncode)


def _without_desk() -> dict[str, str]:
    """Return the environment without what names this desk: the tests choose services of their own."""
    names = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL")
    return {key: value for key, value in os.environ.items() if key not in names}
