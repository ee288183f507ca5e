"""Real services, a real desk and a real browser for tests and benchmarks."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from algotrendy.embedded.postgres import Postgres
from algotrendy.embedded.service import Service
from algotrendy.embedded.valkey import Valkey

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


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
            wait_until(lambda: service.is_ready() or process.poll() is not None, 30, service.name)
            if process.poll() is not None:
                raise RuntimeError(f"{service.name} did not start:\n{Path(log.name).read_text()}")
            service.after_ready()
            yield
        finally:
            process.send_signal(launch.stop_signal)
            process.wait(timeout=30)
