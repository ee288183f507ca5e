"""Pages on a desk with a long history: server time at 1,000,000 alerts, decisions and orders against 10,000."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

from algotrendy import paths
from algotrendy.bench import Figure
from algotrendy.testing import embedded_services
from benchmarks.history import fill

SMALL, LARGE = 10_000, 1_000_000
WARM_UPS, ROUNDS = 3, 15
MOST = 1.5
#: Differences below this are the machine's, not the page's.
NOISE_MS = 1.0


class Server:
    """A process that answers pages from one database."""

    def __init__(self, data: Path, database: str, rows: int) -> None:
        self.rows = rows
        host = quote(str(paths.socket_dir(data)), safe="")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ALGOTRENDY_")}
        environment |= {
            "ALGOTRENDY_DATA": str(data),
            "DATABASE_URL": f"postgres://postgres@{host}:5432/{database}",
            "LOG_LEVEL": "CRITICAL",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.history.pages_server"], env=environment, cwd=paths.BASE_DIR,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1,
        )  # fmt: skip

    def paths(self) -> list[str]:
        """Return the paths of all pages worth asking."""
        listed: list[str] = json.loads(self._answer("list"))
        return listed

    def ask(self, line: str) -> dict[str, float]:
        """Return what a page, or its queries, took."""
        figures: dict[str, float] = json.loads(self._answer(line))
        return figures

    def _answer(self, line: str) -> str:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line.format(half=self.rows // 2, quarter=self.rows // 4) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the server ended at {line}")
        return answer

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def run() -> Iterator[Figure]:
    """Fill two databases and ask each page of both in turns."""
    with tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder).resolve() / "var"
        data.mkdir(mode=0o700)
        with embedded_services(data):
            began = time.perf_counter()
            _prepare(data)
            yield Figure(
                "filled", round(time.perf_counter() - began), "s", f"{SMALL:,} and {LARGE:,} rows a table"
            )
            with _servers(data) as (small, large):
                yield from _compare(small, large)


def _prepare(data: Path) -> None:
    """Make both databases and their histories."""
    environment = os.environ | {"ALGOTRENDY_DATA": str(data)}
    environment.pop("DATABASE_URL", None)
    subprocess.run(
        [sys.executable, "manage.py", "prepare", "--clean"], env=environment, cwd=paths.BASE_DIR, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    host = str(paths.socket_dir(data))
    with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE large TEMPLATE algotrendy")
    for database, rows in (("algotrendy", SMALL), ("large", LARGE)):
        with psycopg.connect(host=host, user="postgres", dbname=database, autocommit=True) as connection:
            for statement in fill.statements(rows):
                connection.execute(statement)


@contextlib.contextmanager
def _servers(data: Path) -> Iterator[tuple[Server, Server]]:
    small, large = Server(data, "algotrendy", SMALL), Server(data, "large", LARGE)
    try:
        yield small, large
    finally:
        small.stop()
        large.stop()


def _compare(small: Server, large: Server) -> Iterator[Figure]:
    worst, differing, broken = 0.0, [], []
    for path in small.paths():
        ratio, figure = _page(small, large, path)
        counts = [server.ask(f"{path} queries") for server in (small, large)]
        worst = max(worst, ratio)
        if counts[0]["queries"] != counts[1]["queries"]:
            differing.append(f"{path}: {counts[0]['queries']} and {counts[1]['queries']}")
        if any(count["status"] != 200 for count in counts):
            broken.append(f"{path}: {counts[0]['status']} and {counts[1]['status']}")
        text = f"{figure.against}, {counts[1]['queries']} queries"
        yield Figure(figure.name, figure.value, figure.unit, text, figure.goal, figure.holds)
    yield Figure(
        "worst_ratio", round(worst, 2), "×", f"{LARGE:,} against {SMALL:,} rows", f"< {MOST}", worst < MOST
    )
    yield Figure("query_counts_differ", len(differing), "pages", "; ".join(differing), "= 0", not differing)
    yield Figure("not_200", len(broken), "pages", "; ".join(broken), "= 0", not broken)


def _page(small: Server, large: Server, path: str) -> tuple[float, Figure]:
    """Measure one page; one that seems slower is asked again, more often: it may have been the machine."""
    ratio, few, many = _measure(small, large, path, ROUNDS)
    if ratio >= MOST:
        ratio, few, many = _measure(small, large, path, 4 * ROUNDS)
    against = f"{few:.1f} ms at {SMALL:,}, {many:.1f} ms at {LARGE:,}"
    return ratio, Figure(path, round(ratio, 2), "×", against, f"< {MOST}", ratio < MOST)


def _measure(small: Server, large: Server, path: str, rounds: int) -> tuple[float, float, float]:
    """Return the median ratio of two requests right after each other, and both medians in milliseconds."""
    pairs: list[tuple[float, float]] = []
    for turn in range(WARM_UPS + rounds):
        order = (small, large) if turn % 2 else (large, small)
        took = {server: server.ask(path)["ms"] for server in order}
        if turn >= WARM_UPS:
            pairs.append((took[small], took[large]))
    few, many = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
    return (ratio if many - few > NOISE_MS else min(ratio, 1.0)), few, many
