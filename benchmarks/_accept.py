"""Accepting alerts: how many, how fast, and what becomes of a burst."""

import json
import statistics
from collections.abc import Iterator

from algotrendy.bench import Figure
from benchmarks._desk import Bench, alternating_bodies
from benchmarks._floors import bare_view
from benchmarks._load import Plan, Result, generate

CONNECTIONS = 32
ROUNDS = 3
TIMES_THE_FLOOR = 8
P99_MS = 30
BURST, CLIENTS, BURST_SECONDS = 1000, 50, 1.0


def throughput(bench: Bench) -> Iterator[Figure]:
    """Yield accepted alerts a second, against the bare view on the same database in turns.

    The trade worker is held meanwhile, as nothing works behind the bare view either, and the alerts are thrown
    away before it goes on; how many are accepted while it decides follows as a figure of its own.
    """
    url = bench.source("bench throughput", policy="shadow")
    with bare_view(bench) as floor_url, bench.paused("trade"):
        pairs = [(_saturate(floor_url, "f", n), _saturate(url, "a", n)) for n in range(ROUNDS)]
        _throw_away(bench)
    _throw_away(bench)
    floor = statistics.median(pair[0].rate for pair in pairs)
    rate = statistics.median(pair[1].rate for pair in pairs)
    ratio = statistics.median(pair[1].rate / pair[0].rate for pair in pairs)
    p99 = statistics.median(pair[1].quantile(0.99) for pair in pairs)
    wrong = sum(
        pair[1].statuses.get(status, 0) for pair in pairs for status in pair[1].statuses if status[0] != "2"
    )
    how = f"{CONNECTIONS} connections, median of {ROUNDS} rounds in turns"
    yield Figure("floor_throughput", round(floor), "alerts/s", f"bare async Django view, one INSERT each; {how}")
    yield Figure("accept_throughput", round(rate), "alerts/s", f"the door in web's process; {how}")
    yield Figure(
        "accept_ratio", round(ratio, 2), "×", "the bare view", f"≥ {TIMES_THE_FLOOR}", ratio >= TIMES_THE_FLOOR
    )
    yield Figure("accept_saturated_p99", round(p99, 1), "ms", how)
    yield Figure("accept_errors", wrong, "answers", "not 2xx under saturation", "= 0", not wrong)
    busy = _saturate(url, "b", 0)
    _throw_away(bench)
    yield Figure("accept_throughput_deciding", round(busy.rate), "alerts/s", "while the trade worker decides them")


def _saturate(url: str, prefix: str, number: int) -> Result:
    bodies = alternating_bodies(f"{prefix}{number}")
    return generate(Plan(url, bodies, "closed", CONNECTIONS, seconds=4, warm_up=1))


def _throw_away(bench: Bench) -> None:
    bench.rows("""
        DELETE FROM webhooks_alert WHERE state = 'received' AND source_id =
            (SELECT id FROM webhooks_source WHERE name = 'bench throughput')
    """)


def steady(bench: Bench) -> Iterator[Figure]:
    """Yield the accept latency at 50 alerts a second, with the whole desk at work on them."""
    url = bench.source("bench steady")
    result = generate(Plan(url, alternating_bodies("s"), "paced", CONNECTIONS, seconds=20, rate=50))
    against = f"50 alerts/s for 20 s, {result.accepted} answered 2xx, the whole desk at work"
    p50, p99 = result.quantile(0.5), result.quantile(0.99)
    yield Figure("accept_p50", round(p50, 2), "ms", against)
    yield Figure(
        "accept_p99", round(p99, 2), "ms", against, f"≤ {P99_MS}", p99 <= P99_MS and result.accepted == 1000
    )
    yield Figure(
        "generator_late", round(result.late_ms, 2), "ms", "the load generator itself, at most: a busy machine"
    )
    bench.wait_until_decided(300)


def burst(bench: Bench) -> Iterator[Figure]:
    """Yield how long a burst takes to be answered, and whether each alert got exactly one decision."""
    url = bench.source("bench burst", policy="shadow")
    result = generate(Plan(url, alternating_bodies("x"), "burst", CLIENTS, total=BURST, keep_answers=True))
    how = f"{BURST} alerts from {CLIENTS} clients"
    in_time = result.seconds <= BURST_SECONDS and result.accepted == BURST
    yield Figure(
        "burst_answered", result.accepted, "alerts", f"{how}; 2xx", f"= {BURST}", result.accepted == BURST
    )
    yield Figure("burst_seconds", round(result.seconds, 3), "s", f"{how}; until the last answer",
                 f"≤ {BURST_SECONDS:g}", in_time)  # fmt: skip
    yield Figure("burst_p99", round(result.quantile(0.99), 1), "ms", how)
    bench.wait_until_decided(300)
    ids = [json.loads(text)["alert"] for text in result.answers]
    decided = bench.rows("""
        SELECT a.id, count(d.id) FROM webhooks_alert a JOIN memory_decision d ON d.signal_key = 'alert-' || a.id
        WHERE a.id = ANY(%s) GROUP BY a.id
    """, [ids])  # fmt: skip
    lost = len(set(ids)) - len(decided) + (BURST - len(set(ids)))
    twice = sum(count > 1 for _, count in decided)
    yield Figure("burst_lost", lost, "alerts", f"{how}; answered, but without a decision", "= 0", not lost)
    yield Figure("burst_twice", twice, "alerts", f"{how}; with more than one decision", "= 0", not twice)
