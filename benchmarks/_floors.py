"""Floors that the spine is measured against, running beside the desk on the same database and queue."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from algotrendy import paths
from algotrendy.testing import free_port, wait_until
from benchmarks._desk import Bench, connect, post
from benchmarks._floor_view import CREATE, TABLE
from benchmarks._load import quantile

WORKER: tuple[str, ...] = (
    "-m",
    "celery",
    "-A",
    "benchmarks._floor_worker",
    "worker",
    "-Q",
    "floor",
    "-n",
    "floor@%h",
)
WORKER += ("--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat")
ROUND_TRIPS = """
import sys, time
from benchmarks._floor_worker import empty
for line in sys.stdin:
    began = time.perf_counter()
    empty.delay().get(timeout=30)
    print((time.perf_counter() - began) * 1000, flush=True)
"""


@contextlib.contextmanager
def process(bench: Bench, *arguments: str, pipes: bool = False) -> "Iterator[subprocess.Popen[str]]":
    """Run Python with `arguments` in the desk's environment until the block ends."""
    pipe = subprocess.PIPE if pipes else None
    running = subprocess.Popen(
        [sys.executable, *arguments], env=bench.desk.environment | {"PYTHONWARNINGS": "ignore"},
        cwd=paths.BASE_DIR, stdin=pipe or subprocess.DEVNULL, stdout=pipe or subprocess.DEVNULL,
        text=True, bufsize=1, start_new_session=True,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@contextlib.contextmanager
def bare_view(bench: Bench) -> Iterator[str]:
    """Serve the bare view that inserts one row, and yield its URL."""
    bench.rows(CREATE)
    port = free_port()
    with process(bench, "-m", "benchmarks._floor_view", "--port", str(port)):
        url = f"http://127.0.0.1:{port}/accept"

        def answers() -> bool:
            try:
                return post(url, "{}")[0] == 202
            except OSError:
                return False

        wait_until(answers, 30, "the bare view")
        yield url


@dataclass
class Steps:
    """What the steps of an alert cost when they stand alone, in milliseconds."""

    commits: list[float] = field(default_factory=list)
    round_trips: list[float] = field(default_factory=list)

    def sum(self, commits: int, share: float = 0.5) -> float:
        """Return the quantile `share` of so many commits and one empty round trip, added up."""
        return commits * quantile(self.commits, share) + quantile(self.round_trips, share)


@contextlib.contextmanager
def measured_steps(bench: Bench, every: float = 0.25) -> Iterator[Steps]:
    """Time one commit of one row and one empty Celery round trip `every` so many seconds while the block runs."""
    bench.rows(CREATE)
    steps, stop = Steps(), threading.Event()
    with process(bench, *WORKER, "--loglevel=ERROR"), process(bench, "-c", ROUND_TRIPS, pipes=True) as caller:
        _round_trip(caller)  # the worker is up when the first one comes back
        thread = threading.Thread(target=_keep_measuring, args=(bench, caller, steps, stop, every), daemon=True)
        thread.start()
        try:
            yield steps
        finally:
            stop.set()
            thread.join()


def _keep_measuring(
    bench: Bench, caller: "subprocess.Popen[str]", steps: Steps, stop: threading.Event, every: float
) -> None:
    with connect(bench.desk.data) as connection:
        insert = f"INSERT INTO {TABLE} (body, received_at) VALUES ('floor', now())"
        while not stop.wait(every):
            began = time.perf_counter()
            connection.execute(insert)
            steps.commits.append((time.perf_counter() - began) * 1000)
            steps.round_trips.append(_round_trip(caller))


def _round_trip(caller: "subprocess.Popen[str]") -> float:
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.write("\n")
    caller.stdin.flush()
    return float(caller.stdout.readline())
