"""The spine, end to end: real processes, a real alert over HTTP, and what becomes of it."""

import itertools
import json
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from algotrendy.testing import running_desk, wait_until
from benchmarks._desk import Bench, post

pytestmark = pytest.mark.spine

PATIENCE = 45.0  # seconds; on a quiet machine everything here takes less than one
numbers = itertools.count(1)

# The alert messages of version 2.5, as people have them in TradingView.
TEMPLATES = {
    "basic": """{
        "symbol": "{{ticker}}",
        "action": "{{strategy.market_position}}",
        "price": "{{close}}",
        "timestamp": "{{time}}",
        "volume": "{{volume}}",
        "source": "tradingview"
      }""",
    "enhanced": """{
        "symbol": "{{ticker}}",
        "action": "{{strategy.market_position}}",
        "price": "{{close}}",
        "high": "{{high}}",
        "low": "{{low}}",
        "volume": "{{volume}}",
        "rsi": "{{rsi}}",
        "macd": "{{macd}}",
        "timestamp": "{{time}}",
        "timeframe": "{{interval}}",
        "source": "tradingview_enhanced"
      }""",
    "multi_timeframe": """{
        "symbol": "{{ticker}}",
        "action": "{{strategy.market_position}}",
        "price": "{{close}}",
        "timeframe": "{{interval}}",
        "direction": "{{strategy.direction}}",
        "confidence": "{{strategy.confidence}}",
        "timestamp": "{{time}}",
        "source": "tradingview_mtf"
      }""",
    "test_message": """{
        "symbol": "BTCUSDT",
        "action": "BUY",
        "price": {{close}},
        "timestamp": "{{time}}",
        "source": "test"
      }""",
    "curl": """{"symbol":"BTCUSDT","action":"BUY","price":{{close}}}""",
}


class Running:
    """The desk of these tests, one source and one key."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.url = bench.source("Spine")
        self.key: str = json.loads(bench.desk.manage("create_key", "spine", "--scope", "read", "--json"))["key"]

    def alert(self, **fields: Any) -> int:
        """Send an alert and return its id."""
        status, answer = post(self.url, json.dumps({"id": f"spine-{next(numbers)}"} | fields))
        assert status == 202, answer
        return int(answer["alert"])

    def api(self, path: str) -> dict[str, Any]:
        """Return what the API says."""
        request = urllib.request.Request(
            self.bench.desk.url + path, headers={"Authorization": f"Bearer {self.key}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def when(
        self, alert: int, condition: Callable[[dict[str, Any]], object], what: str, seconds: float = PATIENCE
    ):
        """Return the alert as the API tells it, once `condition` holds."""
        told: dict[str, Any] = {}

        def holds() -> object:
            told.update(self.api(f"/api/v1/alerts/{alert}"))
            return condition(told)

        try:
            wait_until(holds, seconds, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}; last seen: {json.dumps(told, indent=1)}") from None
        return told

    def filled(self, alert: int) -> dict[str, Any]:
        """Return the alert once all orders of its decision that should fill at once have filled."""
        return self.when(alert, lambda told: is_filled(told), f"the fills of alert {alert}")

    def flatten(self, symbol: str) -> None:
        """Close what is held of `symbol`."""
        self.when(self.alert(symbol=symbol, action="flat"), is_over, f"{symbol} to be flat")
        assert self.position(symbol) == 0

    def position(self, symbol: str) -> float:
        """Return the quantity held by the desk's ledger."""
        query = """
            SELECT quantity FROM brokers_position p JOIN market_instrument i ON i.id = p.instrument_id
            WHERE i.symbol = %s
        """
        rows = self.bench.rows(query, [symbol])
        return float(rows[0][0]) if rows else 0.0


def main_orders(told: dict[str, Any]) -> list[dict[str, Any]]:
    orders = (told.get("decision") or {}).get("orders") or []
    return [order for order in orders if order["role"] in ("entry", "exit")]


def is_filled(told: dict[str, Any]) -> bool:
    orders = main_orders(told)
    return bool(orders) and all(order["state"] == "filled" and order["fills"] for order in orders)


def is_over(told: dict[str, Any]) -> bool:
    """Decided, and whatever was ordered has ended."""
    over = {"filled", "canceled", "rejected", "expired", "denied"}
    return told["state"] != "received" and all(order["state"] in over for order in main_orders(told))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_desk(tmp_path_factory.mktemp("spine") / "var") as desk:
        bench = Bench(desk)
        bench.wait_for_prices(90)
        yield Running(bench)
        bench.close()


def test_an_alert_over_http_becomes_a_decision_an_order_and_a_fill(running: Running) -> None:
    told = running.filled(running.alert(symbol="BTCUSDT", action="buy", price=1))
    decision = told["decision"]
    assert told["state"] == "decided"
    assert decision["action"] == "BUY"
    assert decision["symbol"] == "BTCUSDT"
    assert 0 < decision["confidence"] < 1
    (entry,) = main_orders(told)
    assert entry["role"] == "entry"
    assert sum(float(fill["quantity"]) for fill in entry["fills"]) == float(entry["quantity"])
    assert running.position("BTCUSDT") == float(entry["quantity"])
    assert {order["role"] for order in decision["orders"]} == {"entry", "stop", "target"}


def test_a_flat_alert_closes_and_the_stop_and_target_go_with_the_position(running: Running) -> None:
    opened = running.filled(running.alert(symbol="ETHUSDT", action="long"))
    closed = running.filled(running.alert(symbol="ETHUSDT", action="flat"))
    assert closed["decision"]["action"] == "CLOSE"
    assert [order["role"] for order in main_orders(closed)] == ["exit"]
    assert running.position("ETHUSDT") == 0
    running.when(
        opened["id"],
        lambda told: all(order["state"] in ("filled", "canceled") for order in told["decision"]["orders"]),
        "stop and target to be cancelled",
    )


def test_an_opposite_alert_closes_first_and_then_reverses(running: Running) -> None:
    running.filled(running.alert(symbol="BNBUSDT", action="long"))
    told = running.filled(running.alert(symbol="BNBUSDT", action="short"))
    assert told["decision"]["action"] == "SELL"
    leave, enter = main_orders(told)
    assert (leave["role"], enter["role"]) == ("exit", "entry")
    times = [
        max(fill["recorded_at"] for fill in leave["fills"]),
        min(fill["recorded_at"] for fill in enter["fills"]),
    ]
    assert times == sorted(times)
    assert running.position("BNBUSDT") < 0
    running.flatten("BNBUSDT")


def test_close_and_reverse_sent_at_once_run_in_the_order_sent(running: Running) -> None:
    running.filled(running.alert(symbol="XRPUSDT", action="long"))
    first = running.alert(symbol="XRPUSDT", action="flat")
    second = running.alert(symbol="XRPUSDT", action="short")
    told = running.filled(second)
    closing = running.api(f"/api/v1/alerts/{first}")
    assert closing["decision"]["action"] == "CLOSE"
    assert closing["decision"]["id"] < told["decision"]["id"]
    assert running.position("XRPUSDT") < 0
    running.flatten("XRPUSDT")


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_template_of_version_2_5_gives_exactly_one_decision(running: Running, name: str) -> None:
    running.flatten("BTCUSDT")
    values = {
        "ticker": "BTCUSDT",
        "strategy.market_position": "long",
        "close": f"{60_000 + next(numbers)}.5",
        "high": "60010",
        "low": "59990",
        "volume": "12.5",
        "rsi": "61.2",
        "macd": "3.4",
        "interval": "5",
        "strategy.direction": "long",
        "strategy.confidence": "0.8",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    body = re.sub(r"\{\{(.+?)\}\}", lambda found: values[found[1]], TEMPLATES[name])
    status, answer = post(running.url, body)
    assert status == 202, answer
    told = running.filled(answer["alert"])
    assert told["decision"]["action"] == "BUY"
    decisions = running.bench.value(
        "SELECT count(*) FROM memory_decision WHERE signal_key = %s", [f"alert-{answer['alert']}"]
    )
    assert decisions == 1


def test_the_same_alert_four_times_in_parallel_is_decided_once(running: Running) -> None:
    body = json.dumps({"id": f"same-{next(numbers)}", "symbol": "ETHUSDT", "action": "buy"})
    barrier, answers = threading.Barrier(4), []

    def send() -> None:
        barrier.wait()
        answers.append(post(running.url, body))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 200, 200, 202]
    assert sum(answer.get("duplicate", False) for _, answer in answers) == 3
    (alert,) = {answer["alert"] for _, answer in answers}
    running.filled(alert)
    query = "SELECT count(*) FROM memory_decision WHERE signal_key = %s"
    assert running.bench.value(query, [f"alert-{alert}"]) == 1
    running.flatten("ETHUSDT")


def test_an_alert_that_came_while_valkey_was_away_is_decided_when_it_is_back(running: Running) -> None:
    desk = running.bench.desk
    desk.kill("valkey")
    alert = running.alert(symbol="ETHUSDT", action="buy")
    desk.wait_until_ready()
    told = running.filled(alert)
    assert told["decision"]["action"] == "BUY"
    running.flatten("ETHUSDT")


def test_an_alert_that_cannot_be_understood_is_kept_and_says_why(running: Running) -> None:
    status, answer = post(running.url, f"hello {next(numbers)}, please do something")
    assert status == 202
    told = running.when(answer["alert"], lambda told: told["state"] != "received", "the alert to be read")
    assert told["state"] == "failed"
    assert told["reason"]
    assert told["decision"] is None


def test_what_is_decided_in_a_replay_at_300_times_gets_its_outcome_in_market_time(
    running: Running, tmp_path: Path
) -> None:
    path = tmp_path / "ADAUSDT_5m.csv"
    path.write_text(candles(600))
    running.bench.desk.manage("import_candles", str(path))
    start = (FIRST + timedelta(hours=8)).isoformat()
    running.bench.desk.manage("replay", "ADAUSDT", "--speed", "300", "--from", start)
    query = """
        SELECT count(*) FROM market_quote q JOIN market_instrument i ON i.id = q.instrument_id
        WHERE i.symbol = 'ADAUSDT' AND q.kind = 'replay'
    """
    wait_until(lambda: running.bench.value(query), PATIENCE, "the first replayed price")
    told = running.filled(running.alert(symbol="ADAUSDT", action="buy"))
    decision = told["decision"]
    assert decision["market"] == "replay"
    told = running.when(
        told["id"],
        lambda told: told["decision"]["outcome"]["state"] == "resolved",
        "the outcome",
        seconds=150,  # 36 bars of 5 minutes take 36 s at 300 times
    )
    outcome = told["decision"]["outcome"]
    assert outcome["result"] in ("win", "loss", "timeout")
    assert outcome["exit_at"] > decision["as_of"]
    running.flatten("ADAUSDT")
    running.bench.desk.manage("replay", "--stop")


FIRST = datetime(2025, 3, 1, tzinfo=UTC)


def candles(count: int) -> str:
    """Return candles of five minutes in which the price swings by a few percent."""
    lines = ["ts,open,high,low,close,volume"]
    price = 1.0
    for index in range(count):
        close = round(1.0 + 0.02 * ((index * 7) % 13 - 6) / 6, 4)
        high, low = max(price, close) + 0.001, min(price, close) - 0.001
        stamp = int((FIRST + timedelta(minutes=5 * index)).timestamp() * 1000)
        lines.append(f"{stamp},{price:.4f},{high:.4f},{low:.4f},{close:.4f},1000000")
        price = close
    return "\n".join(lines) + "\n"
