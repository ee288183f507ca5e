"""Real services, a real desk and a real browser for tests and benchmarks."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from algotrendy import paths
from algotrendy.browser import find_chromium
from algotrendy.embedded.postgres import Postgres
from algotrendy.embedded.service import Service
from algotrendy.embedded.valkey import Valkey

__all__ = [
    "Desk",
    "desk_environment",
    "embedded_services",
    "find_chromium",
    "free_port",
    "running_desk",
    "wait_until",
]


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return once `condition()` is true; raise TimeoutError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def embedded_services(data: Path) -> Iterator[None]:
    """Run PostgreSQL (not durable, for speed) and Valkey below `data` until the block ends."""
    with _running(Postgres(data, durable=False), data), _running(Valkey(data), data):
        yield


@contextlib.contextmanager
def _running(service: Service, data: Path) -> Iterator[None]:
    service.prepare()
    launch = service.launch()
    with (data / f"{service.name}.log").open("wb") as log:
        process = subprocess.Popen(
            launch.argv,
            env=launch.env,
            preexec_fn=launch.preexec,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(lambda: service.is_ready() or process.poll() is not None, 60, service.name)
            if process.poll() is not None:
                raise RuntimeError(f"{service.name} did not start:\n{Path(log.name).read_text()}")
            service.after_ready()
            yield
        finally:
            process.send_signal(launch.stop_signal)
            process.wait(timeout=30)


@dataclass(frozen=True)
class Desk:
    """A desk that runs as its own processes on a port and in a data folder of its own."""

    url: str
    port: int
    data: Path
    environment: dict[str, str]
    supervisor: subprocess.Popen[bytes]
    out: Path | None = None

    def pid(self, name: str) -> int:
        """Return the pid of the process `name` (web, trade, training, beat, feed, postgres, valkey).

        Raises FileNotFoundError while it is not running.
        """
        return int((self.data / "run" / f"{name}.pid").read_text())

    def kill(self, name: str) -> None:
        """End the process `name` with SIGKILL."""
        os.kill(self.pid(name), signal.SIGKILL)

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Run `manage.py` with `arguments` in this desk's environment and return what it printed.

        Raises RuntimeError with both outputs if it fails and `check` is set.
        """
        done = subprocess.run(
            [sys.executable, str(paths.BASE_DIR / "manage.py"), *arguments],
            env=self.environment, cwd=paths.BASE_DIR, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def is_ready(self) -> bool:
        """Tell whether `/readyz` answers 200."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Return once the desk is ready; raise TimeoutError after `seconds`."""
        wait_until(self.is_ready, seconds, f"{self.url}/readyz")

    @property
    def output(self) -> str:
        """What `up` printed so far."""
        return (self.out or self.data / "up.out").read_text(errors="replace")

    def stop(self) -> int:
        """Stop it as Ctrl-C would and return the exit code of `up`."""
        self.supervisor.send_signal(signal.SIGINT)
        return self.supervisor.wait(timeout=60)


@contextlib.contextmanager
def running_desk(
    data: Path,
    port: int | None = None,
    clean: bool = True,
    env: dict[str, str] | None = None,
    out: Path | None = None,
) -> Iterator[Desk]:
    """Run `./mem up` with its data in `data` on a free port, wait until it is ready, and stop it at the end.

    The desk's environment is `desk_environment` plus `env`. Its terminal is the file `out`, else one in `data`.
    """
    number = port or free_port()
    environment = desk_environment(data, number) | (env or {})
    arguments = ["up", "--port", str(number), *(["--clean"] if clean else [])]
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    terminal = out or data / "up.out"
    with terminal.open("wb") as file:
        supervisor = subprocess.Popen(
            [sys.executable, str(paths.BASE_DIR / "manage.py"), *arguments],
            env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    desk = Desk(f"http://127.0.0.1:{number}", number, data, environment, supervisor, out)
    try:
        wait_until(lambda: desk.is_ready() or supervisor.poll() is not None, 240, "the desk to start")
        if supervisor.poll() is not None:
            raise RuntimeError(f"the desk did not start:\n{desk.output}")
        yield desk
    finally:
        if supervisor.poll() is None:
            desk.stop()


def desk_environment(data: Path, port: int) -> dict[str, str]:
    """Return this process's environment without its own desk's variables, naming the desk in `data` instead."""
    own = {name: value for name, value in os.environ.items() if not _names_a_desk(name)}
    return own | {
        "ALGOTRENDY_DATA": str(data),
        "ALGOTRENDY_URL": f"http://127.0.0.1:{port}",
        "ALGOTRENDY_SIMULATED_HISTORY": "2000",  # too short for a model: nothing trains unless a test wants it to
    }


def _names_a_desk(variable: str) -> bool:
    return variable.startswith("ALGOTRENDY_") or variable in ("DATABASE_URL", "REDIS_URL")
