"""Killing a desk's processes while alerts flow, and proving afterwards that nothing was lost or done twice."""

import http.client
import itertools
import json
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from algotrendy import paths
from algotrendy.testing import wait_until
from benchmarks._desk import SYMBOLS, Bench, post

VICTIMS = ("trade", "web", "valkey", "postgres")
RETRIES = 3
RETRY_SECONDS = 1.0
TIMEOUT = 3.0  # after which TradingView gives up


@dataclass
class Sender:
    """Sends alerts at a steady rate from a thread of its own, and again what was not answered 2xx.

    As TradingView does, it gives up on an answer after 3 s; a repetition has the same body and so the same key.
    """

    url: str
    rate: float
    answered: dict[str, list[int]] = field(default_factory=dict)  # body id → alert ids, one for each 2xx
    unanswered: list[str] = field(default_factory=list)
    sent: int = 0
    refused: int = 0  # answers that were not 2xx, and broken connections
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Sender":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        bodies = itertools.cycle([(symbol, action) for action in ("long", "flat", "short") for symbol in SYMBOLS])
        due = time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            while not self._stop.is_set():
                self.sent += 1
                symbol, action = next(bodies)
                pool.submit(self._send, f"kill-{self.sent}", symbol, action)
                due += 1 / self.rate
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _send(self, name: str, symbol: str, action: str) -> None:
        body = json.dumps({"id": name, "symbol": symbol, "action": action, "source": "kills"})
        for _ in range(1 + RETRIES):
            try:
                status, answer = post(self.url, body, TIMEOUT)
            except (OSError, http.client.HTTPException):
                status, answer = 0, {}
            with self._lock:
                if 200 <= status < 300:
                    self.answered.setdefault(name, []).append(int(answer["alert"]))
                    return
                self.refused += 1
            time.sleep(RETRY_SECONDS)
        with self._lock:
            self.unanswered.append(name)


def kill_in_turn(bench: Bench, count: int, pause: tuple[float, float] = (1.0, 4.0), seed: int = 1) -> list[float]:
    """Kill `count` processes with SIGKILL in turn; return how long each time the desk took to be back (seconds).

    The next one dies only after the last one is back and alerts flowed again for a random while.
    """
    chance, took = random.Random(seed), []
    for victim in itertools.islice(itertools.cycle(VICTIMS), count):
        time.sleep(chance.uniform(*pause))
        before = bench.desk.pid(victim)
        bench.desk.kill(victim)
        began = time.monotonic()
        wait_until(partial(_is_back, bench, victim, before), 60, f"{victim} to be back")
        took.append(time.monotonic() - began)
    time.sleep(pause[0])
    return took


def _is_back(bench: Bench, victim: str, before: int) -> bool:
    try:
        return bench.desk.pid(victim) != before and bench.desk.is_ready()
    except (FileNotFoundError, ValueError):
        return False


ALERTS = """
    SELECT a.id, a.state, a.reason, count(d.id)
    FROM webhooks_alert a LEFT JOIN memory_decision d ON d.signal_key = 'alert-' || a.id
    WHERE a.id = ANY(%s) GROUP BY a.id
"""
TWICE = """
    SELECT count(*) FROM (SELECT idempotency_key FROM webhooks_alert GROUP BY source_id, idempotency_key
                          HAVING count(*) > 1) again
"""
STRAYS = (
    "SELECT count(*) FROM memory_decision d LEFT JOIN webhooks_alert a ON a.decision_id = d.id WHERE a.id IS NULL"
)
# Every order that left has one order at the venue with its id; one that never left has none.
ORDERS = """
    SELECT o.id, o.client_order_id, o.state, count(p.id)
    FROM brokers_order o
    LEFT JOIN paper_paperorder p ON p.client_order_id = o.client_order_id
    GROUP BY o.id
    HAVING count(p.id) <> CASE WHEN o.state IN ('denied', 'pending')
                                 OR (o.state IN ('canceled', 'expired') AND o.accepted_at IS NULL)
                           THEN 0 ELSE 1 END
"""
UNKNOWN_TO_US = """
    SELECT p.client_order_id FROM paper_paperorder p
    LEFT JOIN brokers_order o ON o.client_order_id = p.client_order_id WHERE o.id IS NULL
"""
EXECUTIONS = """
    SELECT coalesce(f.venue_trade_id, e.trade_id), f.quantity, e.quantity, f.price, e.price, f.fee, e.fee
    FROM (SELECT split_part(venue_trade_id, '~', 1) AS venue_trade_id, sum(quantity) AS quantity,
                 min(price) AS price, sum(fee) AS fee
          FROM brokers_fill GROUP BY split_part(venue_trade_id, '~', 1)) f
    FULL JOIN paper_paperexecution e ON e.trade_id = f.venue_trade_id
    WHERE f.venue_trade_id IS NULL OR e.trade_id IS NULL
       OR (f.quantity, f.price) IS DISTINCT FROM (e.quantity, e.price) OR abs(f.fee - e.fee) > 0.000001
"""
HOLDINGS = """
    SELECT i.symbol, coalesce(p.quantity, 0), coalesce(h.quantity, 0)
    FROM market_instrument i
    LEFT JOIN brokers_position p ON p.instrument_id = i.id
    LEFT JOIN paper_paperholding h ON h.instrument_id = i.id
    WHERE coalesce(p.quantity, 0) <> coalesce(h.quantity, 0)
"""


def faults(bench: Bench, answered: dict[str, list[int]]) -> list[str]:
    """Return a sentence for each alert, order or execution that was lost or done twice. None is the proof."""
    return [
        *_alert_faults(bench, answered),
        *(f"order {row[0]} ({row[1]}, {row[2]}) has {row[3]} orders at the venue" for row in bench.rows(ORDERS)),
        *(f"the venue has order {row[0]}, which the desk never made" for row in bench.rows(UNKNOWN_TO_US)),
        *(f"execution {row[0]}: desk and venue differ: {row[1:]}" for row in bench.rows(EXECUTIONS)),
        *(f"{row[0]}: the desk holds {row[1]}, the venue {row[2]}" for row in bench.rows(HOLDINGS)),
    ]


def _alert_faults(bench: Bench, answered: dict[str, list[int]]) -> list[str]:
    lines = []
    for name, ids in answered.items():
        if len(set(ids)) > 1:
            lines.append(f"{name} was taken in as alerts {ids}")
    ids = sorted({alert for several in answered.values() for alert in several})
    rows = {row[0]: row for row in bench.rows(ALERTS, [ids])}
    lines += [f"alert {alert} was answered 2xx and is not there" for alert in ids if alert not in rows]
    lines += [
        f"alert {row[0]} is {row[1]} ({row[2]}) with {row[3]} decisions" for row in rows.values() if row[3] != 1
    ]
    lines += [f"{twice} keys were taken in twice"] if (twice := bench.value(TWICE)) else []
    lines += [f"{strays} decisions belong to no alert"] if (strays := bench.value(STRAYS)) else []
    return lines


def settle(bench: Bench, seconds: float = 150) -> None:
    """Wait until everything that was sent has run its course, and the ledger has all events of the venue."""
    bench.wait_until_settled(seconds)
    behind = """
        SELECT count(*) FROM brokers_connection c
        WHERE c.cursor < (SELECT coalesce(max(e.id), 0) FROM paper_paperevent e)
    """
    wait_until(lambda: bench.value(behind) == 0, 30, "the ledger to have read all of the venue's events")


def differences(bench: Bench) -> list[str]:
    """Return what `./mem reconcile --full` finds different, a sentence each.

    Raises RuntimeError if it could not look.
    """
    done = subprocess.run(
        [sys.executable, str(paths.BASE_DIR / "manage.py"), "reconcile", "--full", "--json"],
        env=bench.desk.environment, cwd=paths.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    connections = [json.loads(line) for line in done.stdout.splitlines()]
    texts = [difference["text"] for connection in connections for difference in connection["differences"]]
    if not connections or done.returncode != bool(texts):
        raise RuntimeError(f"reconcile ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return texts
