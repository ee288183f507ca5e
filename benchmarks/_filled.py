"""From an alert to its fill, by the database's timestamps, against what its steps cost alone.

The steps are timed during the same minute, on the same machine at the same work.
"""

import time
from collections.abc import Iterator

from algotrendy.bench import Figure
from benchmarks._desk import Bench, alternating_bodies
from benchmarks._floors import Steps, measured_steps
from benchmarks._load import Plan, generate, quantile

RATE, SECONDS = 5.0, 40.0
TIMES_THE_STEPS = 5
#: The commits between the alert's and the fill's, both included.
COMMITS = ("alert", "decision and order", "claim", "order at the venue with its execution", "answer with its fill")

LATENCIES = """
    SELECT extract(epoch FROM min(f.recorded_at) - a.received_at)::float8 * 1000
    FROM webhooks_alert a
    JOIN webhooks_source s ON s.id = a.source_id AND s.name = %s
    JOIN memory_decisionorder link ON link.decision_id = a.decision_id
    JOIN brokers_order o ON o.id = link.order_id AND o.role IN ('entry', 'exit')
    JOIN brokers_fill f ON f.order_id = o.id
    GROUP BY a.id, a.received_at ORDER BY a.id
"""
STAGES = """
    SELECT extract(epoch FROM d.decided_at - a.received_at)::float8 * 1000,
           extract(epoch FROM o.submitted_at - d.decided_at)::float8 * 1000,
           extract(epoch FROM min(f.recorded_at) - o.submitted_at)::float8 * 1000
    FROM webhooks_alert a
    JOIN webhooks_source s ON s.id = a.source_id AND s.name = %s
    JOIN memory_decision d ON d.id = a.decision_id
    JOIN memory_decisionorder link ON link.decision_id = d.id
    JOIN brokers_order o ON o.id = link.order_id AND o.role IN ('entry', 'exit')
    JOIN brokers_fill f ON f.order_id = o.id
    GROUP BY a.id, d.id, o.id
"""
NAMES = ("received_to_decided", "decided_to_claimed", "claimed_to_filled")


def latency(bench: Bench) -> Iterator[Figure]:
    """Yield alert→filled at 5/s, whole and by stage, and as a ratio to its steps."""
    warm_up, name = bench.source("bench warm-up"), "bench filled"
    url = bench.source(name)
    with measured_steps(bench) as steps:
        generate(Plan(warm_up, alternating_bodies("warm"), "paced", 4, seconds=8, rate=RATE))
        bench.wait_until_settled()
        steps.commits.clear()
        steps.round_trips.clear()
        result = generate(Plan(url, alternating_bodies("l"), "paced", 4, seconds=SECONDS, rate=RATE))
        time.sleep(1)
    bench.wait_until_settled()
    yield from _figures(bench, name, result.accepted, steps)


def _figures(bench: Bench, name: str, accepted: int, steps: Steps) -> Iterator[Figure]:
    latencies = [row[0] for row in bench.rows(LATENCIES, [name])]
    against = f"{RATE:g} alerts/s for {SECONDS:g} s: {accepted} accepted, {len(latencies)} filled"
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    yield Figure("filled_p50", round(p50, 1), "ms", against)
    yield Figure("filled_p99", round(p99, 1), "ms", against)
    stages = bench.rows(STAGES, [name])
    for index, stage in enumerate(NAMES):
        values = [row[index] for row in stages]
        text = f"p99 {quantile(values, 0.99):.1f} ms"
        yield Figure(f"{stage}_p50", round(quantile(values, 0.5), 1), "ms", text)
    floor = steps.sum(len(COMMITS))
    commit, trip = quantile(steps.commits, 0.5), quantile(steps.round_trips, 0.5)
    yield Figure("commit_p50", round(commit, 2), "ms", f"one row, {len(steps.commits)} times meanwhile")
    yield Figure("round_trip_p50", round(trip, 1), "ms", f"an empty task, {len(steps.round_trips)} times")
    yield Figure("steps_p50", round(floor, 1), "ms", f"{len(COMMITS)} commits and one empty Celery round trip")
    ratio = p50 / floor
    yield Figure("filled_ratio", round(ratio, 2), "×", "p50 against its commits and one empty round trip, p50",
                 f"≤ {TIMES_THE_STEPS}", ratio <= TIMES_THE_STEPS)  # fmt: skip
