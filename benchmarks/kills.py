"""Killing processes: 20 times kill -9 while alerts flow at 5/s; nothing is lost, nothing is done twice."""

import sys
from collections.abc import Iterator

from algotrendy.bench import Figure
from benchmarks._desk import fresh_desk
from benchmarks._kills import Sender, differences, faults, kill_in_turn, settle
from benchmarks._load import quantile

KILLS = 20
RATE = 5.0


def run() -> Iterator[Figure]:
    """Kill trade worker, web, Valkey and PostgreSQL in turn, then count."""
    with fresh_desk() as bench:
        bench.wait_for_prices()
        with Sender(bench.source("kills"), RATE) as sender:
            took = kill_in_turn(bench, KILLS)
        settle(bench)
        wrong = faults(bench, sender.answered)
        for fault in wrong[:20]:
            print(fault, file=sys.stderr, flush=True)
        against = f"{KILLS} kills, {sender.sent} alerts at {RATE:g}/s, sent again after each failure"
        yield Figure("kills", len(took), "kills", "trade worker, web, Valkey, PostgreSQL in turn")
        yield Figure("back_p50", round(quantile(took, 0.5), 2), "s", "from kill -9 to /readyz")
        yield Figure("back_max", round(max(took), 2), "s", "from kill -9 to /readyz")
        yield Figure("refused", sender.refused, "answers", f"{against}; not 2xx or none")
        yield Figure("accepted", len(sender.answered), "alerts", f"{against}; answered 2xx")
        yield Figure("faults", len(wrong), "faults", "alerts, decisions, orders, executions, holdings", "= 0",
                     not wrong)  # fmt: skip
        differing = differences(bench)
        yield Figure("differences", len(differing), "differences", "./mem reconcile --full", "= 0", not differing)
