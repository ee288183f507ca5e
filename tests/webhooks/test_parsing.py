"""Reading alerts: what every sender's spelling means, and what is told to people whose alert can't be read."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.parsing import problem, read
from webhooks.parsing.alert import Unreadable, parse
from webhooks.parsing.values import interval_seconds, number

# The three templates of version 2.5 and its test message, as TradingView renders them.
BASIC = {
    "symbol": "BTCUSDT",
    "action": "long",
    "price": "50000.5",
    "timestamp": "2025-10-15T10:00:00Z",
    "volume": "12.5",
    "source": "tradingview",
}
ENHANCED = BASIC | {
    "high": "50100",
    "low": "49900",
    "rsi": "55.2",
    "macd": "-1.25",
    "timeframe": "5",
    "source": "tradingview_enhanced",
}
MULTI = BASIC | {"timeframe": "1D", "direction": "", "confidence": "", "source": "tradingview_mtf"}
TEST = {
    "symbol": "BTCUSDT",
    "action": "BUY",
    "price": 50000,
    "timestamp": "2025-10-15T00:00:00Z",
    "source": "test",
}


@pytest.mark.parametrize("body", [BASIC, ENHANCED, MULTI, TEST])
def test_every_template_of_the_old_version_is_read(body: dict[str, Any]) -> None:
    alert = read(body)
    assert (alert.symbol, alert.intent) == ("BTCUSDT", "long")
    assert alert.price in {Decimal("50000.5"), Decimal(50000)}
    assert alert.bar_time is not None
    assert alert.bar_time.date().isoformat() == "2025-10-15"
    assert alert.tags["source"] == body["source"]


def test_extra_numbers_become_tags_and_the_timeframe_seconds() -> None:
    alert = read(ENHANCED)
    assert alert.tags["rsi"] == 55.2
    assert alert.tags["macd"] == -1.25
    assert alert.interval == 300
    assert read(MULTI).interval == 86_400


def test_placeholders_left_in_tags_are_noted_and_nothing_else() -> None:
    alert = read(ENHANCED | {"rsi": "{{rsi}}", "macd": "{{macd}}"})
    assert alert.intent == "long"
    assert "rsi" not in alert.tags
    assert alert.notes == (
        "rsi: the placeholder {{rsi}} was not filled in.",
        "macd: the placeholder {{macd}} was not filled in.",
    )


@pytest.mark.parametrize(
    "field", ["symbol", "action", "price", "timestamp", "quantity", "timenow", "market_position"]
)
def test_a_placeholder_left_where_it_matters_is_named(field: str) -> None:
    assert "{{strategy.oops}} was left in the message" in problem(BASIC | {field: "{{strategy.oops}}"})


def test_a_known_placeholder_left_in_says_what_to_do() -> None:
    text = problem('{"symbol": "BTCUSDT", "action": "buy", "price": {{close}}}')
    assert "{{close}}" in text
    assert "put the value there" in text


@pytest.mark.parametrize(
    ("word", "intent"),
    [
        *[(word, "long") for word in ("buy", "BUY", "Long", "enter-long", "STRONG BUY", "buy\n")],
        *[(word, "short") for word in ("sell", "SELL", "Short", "sellShort".lower().replace("sells", "sell s"))],
        *[(word, "flat") for word in ("flat", "CLOSE", "Exit", "exit_long", "Close Short", "close position")],
        *[(word, "hold") for word in ("hold", "HOLD")],
    ],
)
@pytest.mark.parametrize(
    "key", ["action", "side", "order_action", "strategy.order.action", "signal", "direction", "Order-Side"]
)
def test_actions_are_read_in_any_case_under_any_name(key: str, word: str, intent: str) -> None:
    assert read({"ticker": "BTCUSDT", key: word}).intent == intent


STRATEGY = {
    "ticker": "BTCUSDT",
    "exchange": "BINANCE",
    "interval": "5",
    "time": "2025-10-15T10:00:00Z",
    "timenow": "2025-10-15T10:05:01Z",
    "strategy": {
        "order": {
            "action": "sell",
            "contracts": "0.5",
            "price": "50,000.25",
            "id": "Long exit",
            "comment": "TP",
            "alert_message": "",
        },
        "position_size": "0",
        "market_position": "flat",
        "market_position_size": "0",
        "prev_market_position": "long",
        "prev_market_position_size": "0.5",
    },
}


def test_every_placeholder_of_a_strategy_is_read_nested() -> None:
    alert = read(STRATEGY)
    assert (alert.symbol, alert.intent, alert.action) == ("BTCUSDT", "flat", "sell")
    assert (alert.price, alert.quantity) == (Decimal("50000.25"), Decimal("0.5"))
    assert (alert.market_position, alert.previous_position, alert.order_id) == ("flat", "long", "Long exit")
    assert alert.position_size == 0
    assert alert.timenow == datetime(2025, 10, 15, 10, 5, 1, tzinfo=UTC)


def test_every_placeholder_of_a_strategy_is_read_by_its_dotted_name() -> None:
    order = {f"strategy.order.{name}": value for name, value in STRATEGY["strategy"]["order"].items()}
    rest = {f"strategy.{name}": value for name, value in STRATEGY["strategy"].items() if name != "order"}
    plain = {name: value for name, value in STRATEGY.items() if name != "strategy"}
    assert read(plain | order | rest) == read(STRATEGY)


@pytest.mark.parametrize(
    ("action", "position", "intent"),
    [
        ("buy", "long", "long"),
        ("buy", "flat", "flat"),
        ("sell", "flat", "flat"),
        ("sell", "short", "short"),
        ("sell", "long", "hold"),
        ("buy", "short", "hold"),
        ("close", "long", "flat"),
        ("", "short", "short"),
        ("buy", "1", "long"),
        ("sell", "-2.5", "short"),
        ("sell", "0", "flat"),
    ],
)
def test_the_position_after_the_order_says_what_is_meant(action: str, position: str, intent: str) -> None:
    assert read({"symbol": "BTCUSDT", "action": action, "market_position": position}).intent == intent


def test_a_partial_exit_says_that_it_is_left_alone() -> None:
    notes = read({"symbol": "BTCUSDT", "action": "sell", "market_position": "long"}).notes
    assert notes == ("A sell that leaves the strategy long is a partial exit: the position is left alone.",)


@pytest.mark.parametrize(
    "text",
    [
        "symbol=BTCUSDT action=buy price=50000",
        "symbol=BTCUSDT,action=buy,price=50000",
        "symbol=BTCUSDT;action=buy;price=50000",
        "symbol: BTCUSDT\naction: buy\nprice: 50,000\n",
        "symbol: BINANCE:BTCUSDT, action: buy, price: 50000",
        "ticker = BINANCE:BTCUSDT | side = LONG | close = 50000",
        "symbol='BTCUSDT' action=\"buy\" price=50000",
        "symbol=BTCUSDT&action=buy&price=50000",
        "BUY BTCUSDT price=50000",
        "BUY BTCUSDT @ 50000",
        "Buy BINANCE:BTCUSDT at $50,000",
        "long BTC/USDT @50000",
        '"BUY BTCUSDT @ 50000"',
        "\ufeffBUY BTCUSDT @ 50000",
        '[{"symbol": "BTCUSDT", "action": "buy", "price": "50000"}]',
    ],
)
def test_text_of_every_form_is_read(text: str) -> None:
    alert = read(text)
    assert alert.symbol.replace("/", "").removeprefix("BINANCE:") == "BTCUSDT"
    assert (alert.intent, alert.price) == ("long", Decimal(50000))


def test_the_default_message_of_tradingview_is_read() -> None:
    text = "EMA (9, 21): order {} @ 1.5 filled on BTCUSDT. New strategy position is {}"
    assert read(text.format("buy", "1.5")).intent == "long"
    assert read(text.format("sell", "-1.5")).intent == "short"
    closed = read(text.format("sell", "0"))
    assert (closed.intent, closed.symbol, closed.quantity) == ("flat", "BTCUSDT", Decimal("1.5"))
    assert read(text.format("sell", "0.5")).intent == "hold"


def test_a_number_before_the_symbol_or_the_price_is_the_quantity() -> None:
    assert read("buy 0.5 BTCUSDT").quantity == Decimal("0.5")
    assert read("buy BTCUSDT 0.5 @ 50000").quantity == Decimal("0.5")
    assert read("buy BTCUSDT 50000").quantity is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50000", "50000"),
        ("50,000.5", "50000.5"),
        ("1,234,567", "1234567"),
        ("1 234.5", "1234.5"),
        ("1.234,5", "1234.5"),
        ("0,5", "0.5"),
        ("0,500", "0.5"),  # a group of thousands never begins with 0
        ("0,125", "0.125"),
        ("-0,250", "-0.25"),
        ("1,23", "1.23"),
        ("1,2345", "1.2345"),
        ("12,500", "12500"),
        ("1.234,56", "1234.56"),
        ("1 234,56", "1234.56"),
        ("1'234'567.5", "1234567.5"),
        ("1.234.567", "1234567"),
        ("0.500", "0.5"),
        (" $12 ", "12"),
        ("5e3", "5000"),
        ("-1.5", "-1.5"),
        ("", None),
        ("n/a", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: str | None) -> None:
    assert number(text, "price") == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "text",
    [
        "00,123", "012,345", "0,500,000", "0.500.000", "1,234.5,6", "1.234,5,6", "1,23,456", "1234,567.8",
        "0.123,5", "1,234'567", "1 234'567", "1_2", "1.2.3", "1..5", ",", "1,", "--5", "12e", "0x10",
    ],
)  # fmt: skip
def test_a_number_with_more_than_one_reading_or_none_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="is not a number"):
        number(text, "price")


@given(st.decimals(0, 10**12, places=4), st.sampled_from([",.", ".,", " .", " ,", "'.", "_."]))
def test_a_number_in_groups_is_read_as_it_was_written(value: Decimal, marks: str) -> None:
    text = f"{value:,.4f}".translate(str.maketrans({",": marks[0], ".": marks[1]}))
    assert number(text, "price") == value


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"price": "NaN"}, "not a finite number"),
        ({"price": float("nan")}, "not a finite number"),
        ({"price": float("inf")}, "not a finite number"),
        ({"price": "1e400"}, "not a finite number"),
        ({"quantity": "-Infinity"}, "not a finite number"),
        ({"quantity": "99999999999999999"}, "is too large: at most 15 digits before the point"),
        ({"price": "0"}, "above zero"),
        ({"price": "-5"}, "above zero"),
        ({"price": "1e-400"}, "above zero"),
        ({"quantity": "-1"}, "above zero"),
        ({"price": "cheap"}, "is not a number"),
        ({"timestamp": "yesterday"}, "is not a time"),
        ({"timenow": "99999999999999999999"}, "is not a time"),
        ({"action": "banana"}, "none of buy, sell"),
        ({"action": ""}, "rendered as empty text"),
        ({"symbol": ""}, "The symbol is empty"),
        ({"market_position": ""}, "market position is empty"),
    ],
)
def test_a_value_that_cannot_be_traded_is_told(fields: dict[str, Any], says: str) -> None:
    assert says in problem(BASIC | fields)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"BUY\x00BTC", "NUL"),
        (b"  ", "empty"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 10_000, "nested too deeply"),
        ('{"a":' * 600 + "1" + "}" * 600, "nested too deeply"),
        ({str(n): n for n in range(1000)}, "more than 200 fields"),
        (" ".join(f"k{n}=1" for n in range(300)), "more than 200 fields"),
        ("x" * 5000, "characters of text"),
        ("[1, 2]", "one alert at a time"),
        ("[1]", "no object"),
        ("42", "says none of"),
        ('{"symbol": BTCUSDT}', "not valid at line 1, column 12: text needs quotes around it"),
        (
            '{"symbol": "BTCUSDT", "action": "buy"',
            "column 38: it ends too early",
        ),
        (
            '{"symbol": "BTCUSDT", "action": "buy}',
            "a closing quote, bracket or brace is missing",
        ),
        ('{"symbol": "BTCUSDT" "action": "buy"}', "a comma, colon or quote is missing or too many"),
        ('{"symbol": "BTCUSDT", "action": "buy"}}', "something follows after its end"),
        ({"symbol": "BTCUSDT"}, "names no action"),
        ({"action": "buy"}, "names no symbol"),
        ("buy", "names no symbol"),
        ("BTCUSDT to the moon", "says none of"),
        ("buy or sell BTCUSDT?", "both long and short"),
        ("BUY {{ticker}}", "{{ticker}}"),
    ],
)
def test_a_message_that_cannot_be_read_is_told_why(body: Any, says: str) -> None:
    assert says in problem(body)


@pytest.mark.parametrize(
    "text",
    ["2025-10-15T10:00:00Z", "2025-10-15 12:00:00+02:00", "2025-10-15T10:00:00", "1760522400", "1760522400000"],
)
def test_times_are_read_in_every_form(text: str) -> None:
    assert read(BASIC | {"timestamp": text}).bar_time == datetime(2025, 10, 15, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 300),
        ("60", 3600),
        ("5S", 5),
        ("S", 1),
        ("D", 86_400),
        ("1W", 604_800),
        ("M", 2_592_000),
        ("15m", 900),
        ("4h", 14_400),
        ("1M", 2_592_000),
        ("", None),
        ("soon", None),
        ("0", None),
    ],
)
def test_intervals_are_read_as_tradingview_writes_them(text: str, seconds: int | None) -> None:
    assert interval_seconds(text) == seconds


def test_text_that_postgresql_cannot_hold_is_replaced() -> None:
    alert = read('{"symbol": "BTC\\u0000\\ud800", "action": "buy", "note": "a\\u0000b"}')
    assert "\0" not in json.dumps(alert.as_json(), ensure_ascii=False)
    alert.symbol.encode()


FRAGMENTS = st.sampled_from(
    [
        '{"symbol":',
        '"BTCUSDT"',
        ",",
        '"action":',
        '"buy"',
        "}",
        "{{close}}",
        "symbol=",
        "action: ",
        "sell",
        "\n",
        "@",
        "NaN",
        "1e999",
        '"price":',
        "-1",
        "[",
        "]",
        "market_position=flat",
        "strategy.",
        '"',
        "\\u0000",
        "order buy @ ",
    ]
)


@settings(max_examples=4 * settings.default.max_examples)
@given(
    st.one_of(
        st.binary(max_size=2000), st.lists(FRAGMENTS, max_size=40).map(lambda parts: "".join(parts).encode())
    )
)
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    try:
        alert = parse(body)
    except Unreadable:
        return
    assert alert.symbol
    json.dumps(alert.as_json(), allow_nan=False).encode()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=3 * settings.default.max_examples)
@given(
    st.dictionaries(
        st.sampled_from(
            ["symbol", "action", "price", "quantity", "time", "timenow", "market_position", "interval"]
        ),
        JSON_VALUES,
    )
)
def test_any_values_are_read_or_refused_with_a_reason(message: dict[str, Any]) -> None:
    try:
        alert = read(message)
    except Unreadable:
        return
    assert alert.price is None or alert.price > 0
    assert alert.quantity is None or alert.quantity > 0


@pytest.mark.parametrize(
    "body",
    [
        b"secret=" * 9000,
        b"a" * 65_536,
        b"{{" * 32_000,
        b'"' * 65_000,
        b'{"a' + b"\\u0000" * 10_000 + b'":1}',
        b"symbol=" + b" " * 4000,
        b"order buy @ " * 300,
    ],
)
def test_the_longest_messages_take_no_longer_than_their_length(body: bytes) -> None:
    from webhooks.door.idempotency import identify
    from webhooks.door.redaction import redact

    began = time.thread_time()  # ours alone, whatever else the machine does
    clean, _ = redact(body)
    identify(clean, datetime.now(UTC))
    with pytest.raises(Unreadable):
        parse(body)
    assert time.thread_time() - began < 1
