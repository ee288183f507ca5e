"""Pages on a desk with a long history: server time at 1,000,000 alerts, decisions and orders against 10,000."""

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from algotrendy.bench import Figure
from benchmarks.history import fill
from benchmarks.history.scratch import FIRST, Worker, copy_first, database_server, execute, stopped_at_the_end

SMALL, LARGE = 10_000, 1_000_000
WARM_UPS, ROUNDS = 3, 15
MOST = 1.5
#: Differences below this are the machine's, not the page's.
NOISE_MS = 1.0


class Server(Worker):
    """A process that answers pages from one database with so many rows a table."""

    def __init__(self, data: Path, database: str, rows: int) -> None:
        super().__init__("benchmarks.history.pages_server", data, database)
        self.rows = rows

    def paths(self) -> list[str]:
        """Return the paths of all pages worth asking."""
        listed: list[str] = json.loads(self.answer("list"))
        return listed

    def ask(self, line: str) -> dict[str, Any]:
        """Return what a page, or its queries, took; `{half}` in its path is the row in the middle."""
        return super().ask(line.format(half=self.rows // 2, quarter=self.rows // 4))


def run() -> Iterator[Figure]:
    """Fill two databases and ask each page of both in turns."""
    with database_server() as data:
        began = time.perf_counter()
        copy_first(data, "large")
        for database, rows in ((FIRST, SMALL), ("large", LARGE)):
            execute(data, database, fill.statements(rows))
        yield Figure("filled", round(time.perf_counter() - began), "s", f"{SMALL:,} and {LARGE:,} rows a table")
        small, large = Server(data, FIRST, SMALL), Server(data, "large", LARGE)
        with stopped_at_the_end(small, large):
            yield from _compare(small, large)


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
