"""An embedded service that runs for the length of a block: for tests, and for a desk that is down."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from algotrendy.embedded.service import Service

START_SECONDS = 120.0  # recovery after a crash may replay a gigabyte of log
STOP_SECONDS = 60.0


@contextlib.contextmanager
def running(service: Service, log: Path) -> Iterator[None]:
    """Run `service`, its output in `log`, until the block ends. Raises RuntimeError if it does not start."""
    service.prepare()
    launch = service.launch()
    with log.open("wb") as file:
        process = subprocess.Popen(
            launch.argv,
            env=launch.env,
            preexec_fn=launch.preexec,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(service, process, log)
            service.after_ready()
            yield
        finally:
            process.send_signal(launch.stop_signal)
            process.wait(timeout=STOP_SECONDS)


def _wait(service: Service, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not service.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{service.name} did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)
