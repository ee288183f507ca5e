"""Which alerts are the same alert, from their bytes alone."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhooks.door.idempotency import explicit_key, identify

NOON = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)
FIRED = {"ticker": "BTCUSDT", "timenow": "2026-01-01T12:00:00Z", "action": "buy"}


def key(message: Any, at: datetime = NOON) -> str:
    return keys(message, at)[0]


def keys(message: Any, at: datetime = NOON) -> tuple[str, str]:
    return identify(message if isinstance(message, bytes) else json.dumps(message).encode(), at)


def test_the_same_firing_with_another_body_is_one_alert() -> None:
    again = FIRED | {"close": "50001", "comment": "sent again"}
    assert key(FIRED) == key(again, NOON + timedelta(hours=1))
    assert key(FIRED).startswith("at:")
    assert keys(FIRED)[1] == ""


def test_the_spelling_of_a_firing_makes_no_difference() -> None:
    spelled = {"symbol": " btcusdt ", "fired_at": "2026-01-01T12:00:00Z", "side": "BUY"}
    assert key(spelled) == key(FIRED)


def test_the_key_of_a_firing_is_the_same_for_ever() -> None:
    # The first sending may have been stored by an older version of the desk, the second comes to this one.
    parts = ["btcusdt", "2026-01-01t12:00:00z", "", "buy", "", ""]
    assert key(FIRED) == f"at:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


@pytest.mark.parametrize(
    "change",
    [
        {"ticker": "ETHUSDT"},
        {"timenow": "2026-01-01T12:00:01Z"},
        {"action": "sell"},
        {"order_id": "Long"},
        {"market_position": "long"},
        {"prev_market_position": "flat"},
    ],
)
def test_a_firing_that_asks_for_something_else_is_another_alert(change: dict[str, str]) -> None:
    assert key(FIRED | change) != key(FIRED)
    assert key(FIRED | change).startswith("at:")


def test_the_parts_of_a_firing_cannot_be_mixed_up() -> None:
    one = {"ticker": "A", "timenow": "B", "action": "C"}
    other = {"ticker": "A", "timenow": "C", "action": "B"}
    assert key(one) != key(other)


@pytest.mark.parametrize("missing", ["ticker", "timenow", "action"])
@pytest.mark.parametrize("left", [None, "", "{{ticker}}"])
def test_a_firing_without_its_symbol_time_or_wish_is_known_by_its_body(missing: str, left: str | None) -> None:
    message = {name: value for name, value in FIRED.items() if name != missing}
    message |= {} if left is None else {missing: left}
    assert key(message).startswith("body:")


def test_a_position_is_a_wish_as_well_as_an_action() -> None:
    message = {"ticker": "BTCUSDT", "timenow": "2026-01-01T12:00:00Z", "market_position": "long"}
    assert key(message).startswith("at:")


def test_an_explicit_id_comes_before_everything_else() -> None:
    assert keys(FIRED | {"id": "signal-7"}) == ("id:signal-7", "")
    assert keys({"action": "sell", "alert_id": "signal-7"}, NOON + timedelta(days=1)) == ("id:signal-7", "")


@pytest.mark.parametrize(
    "name", ["Long", "Short", "long entry", "Exit", "Close", "BUY", "sell!", "Order", "flat", "Long Entry (EMA)"]
)
def test_an_orders_name_in_the_id_is_no_id(name: str) -> None:
    first, later = FIRED | {"id": name}, FIRED | {"id": name, "timenow": "2026-01-01T13:00:00Z"}
    assert key(first) == key(FIRED)
    assert key(first) != key(later)
    without = {"action": "buy", "id": name}
    assert key(without).startswith("body:")


@pytest.mark.parametrize("event_id", ["Long-17", "ema", "7", "order 2 of 3"])
def test_a_name_with_a_number_or_of_nothing_ordered_is_an_id(event_id: str) -> None:
    assert key(FIRED | {"id": event_id}) == explicit_key(event_id)


@pytest.mark.parametrize("event_id", ["", "{{strategy.order.id}}", "x {{time}}"])
def test_an_empty_id_and_one_that_was_not_filled_in_are_none(event_id: str) -> None:
    assert key(FIRED | {"id": event_id}) == key(FIRED)


def test_an_id_that_cannot_be_shown_is_kept_as_its_hash() -> None:
    assert explicit_key("a~!z") == "id:a~!z"
    assert explicit_key("x" * 120) == "id:" + "x" * 120
    for odd in ("x" * 121, "a b", "ü", "a\n"):
        digest = hashlib.sha256(json.dumps([odd]).encode()).hexdigest()
        assert explicit_key(odd) == f"id:#{digest}"


@pytest.mark.parametrize("body", [b"BUY BTCUSDT", b'{"broken": ', b"\xff\xfe"])
def test_other_alerts_are_known_by_their_body_within_the_minute(body: bytes) -> None:
    minute = int(NOON.timestamp()) // 60
    digest = hashlib.sha256(body).hexdigest()
    assert keys(body) == (f"body:{digest}:{minute}", f"body:{digest}:{minute - 1}")


def test_equal_bodies_thirty_seconds_apart_share_a_key_wherever_the_minute_turns() -> None:
    body = b"BUY BTCUSDT"
    for second in range(60):
        first = NOON.replace(second=second)
        now, before = keys(body, first + timedelta(seconds=30))
        assert key(body, first) in (now, before)


def test_equal_bodies_two_minutes_apart_share_none() -> None:
    assert key(b"BUY BTCUSDT", NOON) not in keys(b"BUY BTCUSDT", NOON + timedelta(seconds=120))
