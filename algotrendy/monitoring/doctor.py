"""What may be wrong with an installation, one finding at a time; works when nothing runs.

Each check is a function that yields findings. A finding that is not good says what to do. What concerns one app is
checked by that app: a module `doctor` of an installed app registers its functions with `@desk_check`.
"""

import importlib.metadata
import json
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from algotrendy.paths import BASE_DIR
from algotrendy.supervisor import lock
from algotrendy.supervisor.disk import space

WIDEST_CLOCK_SECONDS = 2
PROCESSES = ("web", "trade", "training", "beat", "feed")


@dataclass(frozen=True)
class Finding:
    """One line: `good` is None for what is worth knowing but not wrong."""

    good: bool | None
    what: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {True: "✓", False: "✗", None: "!"}[self.good]
        return f"{mark} {self.what}" + (f"\n    → {self.advice}" if self.advice else "")


Check = Callable[[], Iterator[Finding]]
_desk_checks: list[Check] = []


def desk_check(function: Check) -> Check:
    """Register the decorated check: it runs while the database answers and is up to date."""
    _desk_checks.append(function)
    return function


def examine(data: Path, port: int) -> Iterator[Finding]:
    """Yield the findings about this machine, the packages, the data folder and the desk in `data`."""
    running = lock.holder(data / "run")
    for check in (python, python_packages, front_end_packages):
        yield from check()
    yield from folder(data)
    yield from disk(data)
    yield from processes(data, port, running)
    yield from services(running is not None)


def python() -> Iterator[Finding]:
    """Look at the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding(good, f"Python {version}", "" if good else "Install Python 3.11 or later, then remove .venv")


def python_packages() -> Iterator[Finding]:
    """Compare what is installed with the lock file."""
    wrong = [line for line in _locked_packages() if not _installed(*line)]
    if wrong:
        names = ", ".join(f"{name} {version}" for name, version in wrong[:5])
        yield Finding(False, f"{len(wrong)} Python packages differ from requirements.txt: {names}",
                      "Remove .venv and run ./mem doctor again")  # fmt: skip
    else:
        yield Finding(True, "Python packages are those of requirements.txt")


def _locked_packages() -> Iterator[tuple[str, str]]:
    """Yield name and version of each package that the lock file wants on this machine."""
    from packaging.requirements import Requirement

    for line in (BASE_DIR / "requirements.txt").read_text().splitlines():
        if line[:1].isalnum():
            wanted = Requirement(line.rstrip("\\ "))
            if wanted.marker is None or wanted.marker.evaluate():
                yield wanted.name, str(wanted.specifier).removeprefix("==")


def _installed(name: str, version: str) -> bool:
    try:
        return importlib.metadata.version(name) == version
    except importlib.metadata.PackageNotFoundError:
        return False


def front_end_packages() -> Iterator[Finding]:
    """Compare node_modules with its lock file."""
    locked = json.loads((BASE_DIR / "package-lock.json").read_text())["packages"]
    wrong = [name for name, entry in locked.items() if name and _front_end_version(name) != entry.get("version")]
    if wrong:
        text = f"Front-end packages differ from package-lock.json: {', '.join(wrong)}"
        yield Finding(False, text, "Remove node_modules and run ./mem doctor again")
    else:
        yield Finding(True, "Front-end packages are those of package-lock.json")


def _front_end_version(name: str) -> str | None:
    try:
        version: str = json.loads((BASE_DIR / name / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError):
        return None
    return version


def folder(data: Path) -> Iterator[Finding]:
    """Look at the modes of the data folder and of the secrets."""
    if not data.exists():
        yield Finding(True, f"Data folder {data} will be made at the first start")
        return
    for path, wanted in ((data, 0o711), (data / "secrets.json", 0o600)):
        if not path.exists():
            continue
        mode = path.stat().st_mode & 0o777
        if mode & ~wanted:
            yield Finding(False, f"{path} is open to others (mode {mode:o})", f"chmod go-rwx {path}")
        else:
            yield Finding(True, f"{path} is closed to others (mode {mode:o})")


def disk(data: Path) -> Iterator[Finding]:
    """Look at the room on the disk."""
    room = space(data)
    yield Finding(not room.low, room.text, room.advice)


def processes(data: Path, port: int, running: tuple[int, str] | None) -> Iterator[Finding]:
    """Look at the supervisor, its processes and its address; without one, at the port it would use."""
    if running is None:
        yield Finding(False, "The desk is not running", "./mem up starts it")
        yield port_free(port)
        return
    pid, url = running
    yield Finding(True, f"The desk is running (pid {pid}, {url})")
    for name in PROCESSES:
        alive = lock.alive(data / "run" / f"{name}.pid")
        text = f"Process {name} is alive (pid {alive})" if alive else f"Process {name} is not alive"
        yield Finding(alive is not None, text, "" if alive else f"{data / 'log' / 'desk.log'} says why it ended")
    yield answers(url)


def port_free(port: int) -> Finding:
    """Tell whether the desk could listen on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Finding(
                False, f"Port {port} cannot be used: {error.strerror}", "./mem up --port N uses another"
            )
    return Finding(True, f"Port {port} is free")


def answers(url: str) -> Finding:
    """Tell whether web answers."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310
            good = answer.status == 200
    except OSError:
        good = False
    advice = "Wait a moment if it has just been started; var/log/desk.log says more"
    return Finding(good, f"Web {'answers' if good else 'does not answer'} at {url}", "" if good else advice)


def services(running: bool) -> Iterator[Finding]:
    """Look at the database, the queue and what they hold."""
    from django.conf import settings
    from django.utils.module_loading import autodiscover_modules

    if settings.EMBEDDED_POSTGRES and not running:
        yield Finding(None, "The embedded PostgreSQL runs with the desk: not looked at")
        return
    autodiscover_modules("doctor")
    yield valkey()
    findings = list(database())
    yield from findings
    answers = all(finding.good for finding in findings)
    if answers:
        for check in _desk_checks:
            yield from check()
    yield clock(answers)


def valkey() -> Finding:
    """Tell whether Valkey answers."""
    from algotrendy.monitoring.health import check_valkey

    answer = check_valkey()
    advice = "Is REDIS_URL right, and does that server run?"
    return Finding(answer == "ok", f"Valkey: {answer}", "" if answer == "ok" else advice)


def database() -> Iterator[Finding]:
    """Look at PostgreSQL's version and the migrations."""
    from django.db import Error, connection

    from algotrendy.monitoring.health import unapplied_migrations

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), current_setting('server_version_num')::int")
            version, number = cursor.fetchone()
        missing = unapplied_migrations()
    except Error as error:
        yield Finding(False, f"PostgreSQL: {type(error).__name__}: {str(error).strip().splitlines()[0]}",
                      "Is DATABASE_URL right, and does that server run?")  # fmt: skip
        return
    advice = "" if number >= 140000 else "PostgreSQL 14 or later is needed"
    yield Finding(number >= 140000, f"PostgreSQL {version} answers", advice)
    text = f"{len(missing)} migrations are not applied" if missing else "Every migration is applied"
    yield Finding(not missing, text, "./mem migrate applies them; so does ./mem up" if missing else "")


def clock(database_answers: bool) -> Finding:
    """Compare this machine's clock with the database's: staleness of alerts is judged by both."""
    from django.db import connection
    from django.utils import timezone

    if not database_answers:
        return Finding(None, "Clock not compared: the database does not answer")
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        apart = abs((cursor.fetchone()[0] - timezone.now()).total_seconds())
    good = apart < WIDEST_CLOCK_SECONDS
    advice = "" if good else "Let both machines keep time with NTP (timedatectl set-ntp true)"
    return Finding(good, f"Clocks of this machine and the database are {apart:.1f} s apart", advice)
