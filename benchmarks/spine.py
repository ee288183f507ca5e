"""The spine: accepting alerts, from alert to fill, from commit to browser, and a burst; floors in the same run."""

from collections.abc import Iterator

from algotrendy.bench import Figure
from benchmarks import _accept, _filled, _live
from benchmarks._desk import fresh_desk


def run() -> Iterator[Figure]:
    """Measure one fresh desk, the quiet parts first."""
    with fresh_desk() as bench:
        bench.wait_for_prices()
        for part in (_filled.latency, _live.to_browser, _accept.steady, _accept.burst, _accept.throughput):
            yield from part(bench)
