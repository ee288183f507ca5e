"""Starting the desk: from the command to the first answer, and the memory it then takes.

The desk runs with its simulated market, its demo source and a model that predicts, so that everything that works
in a desk works.
"""

import contextlib
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from algotrendy import paths
from algotrendy.bench import Figure
from algotrendy.testing import Desk, desk_environment, free_port, wait_until
from benchmarks._desk import Bench

LIVED_SECONDS = 60.0  # before memory is measured
MEGABYTE = 1_000_000
MOST_MEGABYTES = 600
MODEL_CANDLES = "17280"  # of each instrument, as a new desk of the simulated market has them
MODEL_SECONDS = 300.0  # for the first training and its first prediction
MOST_SECONDS = 20


def run() -> Iterator[Figure]:
    """Start twice and measure."""
    with tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder).resolve() / "var"
        with started(data) as (desk, seconds):
            yield Figure("first_start", round(seconds, 2), "s", "packages installed, empty data folder")
            _wait_for_predictions(desk)
        with started(data) as (desk, seconds):
            holds = seconds <= MOST_SECONDS
            yield Figure("warm_start", round(seconds, 2), "s", "./mem up to /readyz", f"≤ {MOST_SECONDS}", holds)
            yield from memory(desk)


@contextlib.contextmanager
def started(data: Path) -> Iterator[tuple[Desk, float]]:
    """Run `./mem up` and yield the desk and how long it took to answer `/readyz` (seconds)."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = free_port()
    environment = desk_environment(data, port) | {"ALGOTRENDY_SIMULATED_HISTORY": MODEL_CANDLES}
    began = time.perf_counter()
    with (data / "up.out").open("wb") as out:
        supervisor = subprocess.Popen(
            [str(paths.BASE_DIR / "mem"), "up", "--port", str(port)],
            env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    desk = Desk(f"http://127.0.0.1:{port}", port, data, environment, supervisor)
    try:
        wait_until(lambda: desk.is_ready() or supervisor.poll() is not None, 300, "the desk to start")
        if supervisor.poll() is not None:
            raise RuntimeError(f"the desk did not start:\n{desk.output}")
        yield desk, time.perf_counter() - began
    finally:
        if supervisor.poll() is None:
            desk.stop()


def _wait_for_predictions(desk: Desk) -> None:
    """Return once a model has predicted since now."""
    bench = Bench(desk)
    since = bench.value("SELECT now()")
    query = "SELECT count(*) FROM mlmodels_prediction WHERE made_at > %s"
    wait_until(lambda: bench.value(query, [since]), MODEL_SECONDS, "a prediction")
    bench.close()


def _open_pages(bench: Bench) -> None:
    cookie = {"Cookie": f"sessionid={bench.session()}"}
    for path in ("/", "/alerts", "/decisions", "/orders", "/trades", "/health", "/admin/"):
        request = urllib.request.Request(bench.desk.url + path, headers=cookie)
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


def memory(desk: Desk) -> Iterator[Figure]:
    """Yield what all processes together hold once the desk has lived for a while and its pages were opened."""
    bench = Bench(desk)
    bench.wait_for_prices()
    _wait_for_predictions(desk)
    _open_pages(bench)
    time.sleep(LIVED_SECONDS)
    bench.close()
    supervisor = psutil.Process(desk.supervisor.pid)
    rss = pss = 0.0
    processes = [supervisor, *supervisor.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's backends come and go
            held = process.memory_full_info()
            rss += held.rss / MEGABYTE
            pss += getattr(held, "pss", held.rss) / MEGABYTE
    against, goal = f"{len(processes)} processes after {LIVED_SECONDS:g} s", f"< {MOST_MEGABYTES}"
    yield Figure("resident_memory", round(pss), "MB", f"{against}, pages shared by several counted once", goal,
                 pss < MOST_MEGABYTES)  # fmt: skip
    yield Figure("sum_of_rss", round(rss), "MB", f"{against}, shared pages counted in each")
