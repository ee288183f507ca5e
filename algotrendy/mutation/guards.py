"""The spine: each lock, guard, transaction and nudge is left out once, and the tests of its room must notice."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from algotrendy.mutation.plan import Change, Room
from algotrendy.mutation.removals import Removal, removals
from algotrendy.testing import embedded_services

# Autoloading would import all of schemathesis in every run.
PYTEST = (
    "-x",
    "-q",
    "-p",
    "pytest_django.plugin",
    "-p",
    "_hypothesis_pytestplugin",
    "--hypothesis-profile=mutants",
)
TIMED_OUT = 36
UNHURRIED = 600.0  # seconds for a run without a change: the first makes the database
SLACK = 3  # a run may take so many times as long as one without a change, and half a minute more


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one removal: noticed, survived, or excluded with a reason."""

    module: str
    line: int
    kind: str
    text: str
    outcome: str


class Tests:
    """The tests of a scratch copy, with a database that stays from run to run."""

    def __init__(self, log: Path, process: "subprocess.Popen[str]") -> None:
        self._log = log
        self._process = process
        self._fresh = True
        self.seconds = UNHURRIED

    def pass_(self, tests: tuple[str, ...]) -> bool:
        """Return whether all `tests` pass. A run that had to be killed leaves a database that is made anew."""
        database = "--create-db" if self._fresh else "--reuse-db"
        code = self._ask([self.seconds, *PYTEST, "--reuse-db", database, *tests])
        self._fresh = code == TIMED_OUT
        return code == 0

    @property
    def output(self) -> str:
        """The end of what the last run said."""
        return self._log.read_text(errors="replace")[-3000:]

    def _ask(self, line: list[object]) -> int:
        into, out = _pipes(self._process)
        into.write(json.dumps(line) + "\n")
        into.flush()
        return int(out.readline())


def run(rooms: Iterable[Room], copy: Path, excluded: frozenset[Change]) -> Iterator[Finding]:
    """Remove one thing after another from the rooms' modules in the copy; yield what became of each.

    Raises RuntimeError if the tests of a room fail without any change.
    """
    with _tests(copy) as tests:
        for room in rooms:
            yield from _room(room, copy, tests, excluded)


def _room(room: Room, copy: Path, tests: Tests, excluded: frozenset[Change]) -> Iterator[Finding]:
    tests.seconds = UNHURRIED
    began = time.monotonic()
    if not tests.pass_(room.tests):
        raise RuntimeError(f"the tests of {room.name} fail without any change:\n{tests.output}")
    tests.seconds = 30 + SLACK * (time.monotonic() - began)
    for module in room.modules:
        yield from _module(module, copy, tests, room.tests, excluded)


def _module(
    module: str, copy: Path, tests: Tests, names: tuple[str, ...], excluded: frozenset[Change]
) -> Iterator[Finding]:
    path = copy / module
    source = path.read_text()
    try:
        for number, removal in enumerate(removals(source)):
            outcome = "excluded"
            if (module, removal.kind, removal.text) not in excluded:
                _write(path, removal.source, number)
                outcome = "survived" if tests.pass_(names) else "noticed"
            yield _finding(module, removal, outcome)
    finally:
        _write(path, source, -1)


def _finding(module: str, removal: Removal, outcome: str) -> Finding:
    return Finding(module, removal.line, removal.kind, removal.text, outcome)


def _write(path: Path, source: str, number: int) -> None:
    """Write the source with a time of its own: Python knows by it that what it compiled before is old."""
    path.write_text(source)
    os.utime(path, (moment := 1_000_000_000 + 2 * number, moment))


@contextmanager
def _tests(copy: Path) -> Iterator[Tests]:
    with tempfile.TemporaryDirectory(prefix="desk-mutants-data-", ignore_cleanup_errors=True) as folder:
        data = Path(folder).resolve()
        with embedded_services(data):
            log = data / "pytest.log"
            process = _zygote(copy, data, log)
            try:
                yield Tests(log, process)
            finally:
                _pipes(process)[0].close()
                process.wait(timeout=30)


def _zygote(copy: Path, data: Path, log: Path) -> "subprocess.Popen[str]":
    own = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment |= {"DESK_TESTS_SERVICES": str(data), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("zygote.py")), str(log)],
        cwd=copy, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process of the tests has no pipes")
    return process.stdin, process.stdout
