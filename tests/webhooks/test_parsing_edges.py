"""The edges of reading alerts: lengths, cases, words that are no symbols, and every sentence whole."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.support.parsing import BUY, problem, read
from webhooks.parsing import fields, values
from webhooks.parsing.alert import MAX_TAGS, ParsedAlert, Unreadable
from webhooks.parsing.fields import Fields, canonical, placeholder, printable, read_fields
from webhooks.parsing.staleness import Clock, sent_between, stale_reason

# --- symbols in bare text


@pytest.mark.parametrize(
    "word",
    [
        "AT",
        "TO",
        "OF",
        "ON",
        "IN",
        "THE",
        "FOR",
        "AND",
        "NOW",
        "PRICE",
        "SIGNAL",
        "ALERT",
        "ORDER",
        "MARKET",
        "LIMIT",
        "POSITION",
        "ENTRY",
        "STOP",
        "TARGET",
        "NEW",
        "IS",
    ],
)
def test_a_word_of_the_language_is_no_symbol(word: str) -> None:
    assert read(f"BUY {word} AAPL").symbol == "AAPL"
    assert "names no symbol" in problem(f"BUY {word}")
    assert "names no symbol" in problem(f"BUY {word.lower()}")


def test_a_pair_is_a_symbol_before_a_word_in_capitals_and_a_prefixed_one_before_both() -> None:
    assert read("BUY AAPL btcusdt").symbol == "btcusdt"
    assert read("BUY ETHUSDT BINANCE:BTCUSDT").symbol == "BINANCE:BTCUSDT"
    assert read("BUY then AAPL").symbol == "AAPL"
    assert read("buy gold").symbol == "gold"
    assert "names no symbol" in problem("buy some gold")


def test_a_symbol_in_capitals_has_two_to_twenty_characters() -> None:
    assert read(f"BUY then {'A' * 20}").symbol == "A" * 20
    assert "names no symbol" in problem(f"BUY then {'A' * 21}")
    assert read("BUY then AB").symbol == "AB"
    assert "names no symbol" in problem("BUY then A")


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT", "BTC-USDC", "BTC_EUR", "btcusd", "ETHBTC", "BTCUSDT.P", "BTCUSDPERP"]
)
def test_pairs_are_known_by_what_they_are_quoted_in(symbol: str) -> None:
    assert read(f"please buy some {symbol}").symbol == symbol


@pytest.mark.parametrize("text", ["BUY BTCUSDT.", "BUY BTCUSDT,", "BUY: BTCUSDT!", "BUY BTCUSDT -"])
def test_punctuation_is_no_part_of_a_symbol(text: str) -> None:
    assert read(text).symbol == "BTCUSDT"


# --- words and their cases


@pytest.mark.parametrize(
    "text", ["close BTCUSDT buy", "buy BTCUSDT close", "close long BTCUSDT", "exit sell BTCUSDT"]
)
def test_closing_wins_over_a_side_in_bare_text(text: str) -> None:
    assert read(text).intent == "flat"


def test_holding_counts_only_where_nothing_else_is_asked_for() -> None:
    assert read("hold BTCUSDT").intent == "hold"
    alert = read("hold BTCUSDT then buy")
    assert (alert.intent, alert.action) == ("long", "buy")
    assert problem("buy BTCUSDT or sell it") == "The message asks for both long and short."
    assert problem("BTCUSDT") == (
        "The message says none of buy, sell, long, short, flat, close, exit, and names no fields."
    )


def test_positions_are_kept_in_small_letters_and_the_action_as_it_came() -> None:
    alert = read(BUY | {"action": "BUY", "market_position": "LONG", "prev_market_position": "FLAT"})
    assert (alert.action, alert.market_position, alert.previous_position) == ("BUY", "long", "flat")
    partial = read({"symbol": "BTCUSDT", "action": "SELL", "market_position": "Long"})
    assert partial.notes == (
        "A sell that leaves the strategy long is a partial exit: the position is left alone.",
    )


def test_a_position_of_hold_is_flat_and_one_that_is_no_word_is_told() -> None:
    assert read({"symbol": "BTCUSDT", "market_position": "none"}).intent == "flat"
    assert problem(BUY | {"market_position": "moon"}) == (
        "The market position 'moon' is none of buy, sell, long, short, flat, close, exit."
    )


@pytest.mark.parametrize(
    ("action", "position", "intent"),
    [("hold", "long", "hold"), ("close", "short", "flat"), ("buy", "+1,000", "long")],
)
def test_an_order_that_closes_or_holds_says_more_than_the_position(
    action: str, position: str, intent: str
) -> None:
    assert read({"symbol": "BTCUSDT", "action": action, "market_position": position}).intent == intent


@pytest.mark.parametrize(
    ("action", "size", "intent"),
    [
        ("buy", "0", "flat"),
        ("sell", "0.0", "flat"),
        ("buy", "1", "long"),
        ("hold", "0", "hold"),
        ("close", "0", "flat"),
    ],
)
def test_a_position_size_of_zero_behind_an_order_means_flat(action: str, size: str, intent: str) -> None:
    alert = read({"symbol": "BTCUSDT", "action": action, "position_size": size})
    assert (alert.intent, alert.position_size) == (intent, Decimal(size))


# --- quantities and tags


def test_a_zero_quantity_is_none_for_a_close_and_refused_for_an_entry() -> None:
    assert read({"symbol": "BTCUSDT", "action": "close", "quantity": "0"}).quantity is None
    assert read({"symbol": "BTCUSDT", "action": "hold", "quantity": "0"}).quantity is None
    assert problem(BUY | {"quantity": "0"}) == "The quantity is 0; it must be above zero."
    assert problem({"symbol": "BTCUSDT", "action": "close", "quantity": "-1.50"}) == (
        "The quantity is -1.5; it must be above zero."
    )


def test_forty_tags_are_kept_and_the_forty_first_is_not() -> None:
    tags = read(BUY | {f"t{number}": number for number in range(45)}).tags
    assert len(tags) == MAX_TAGS == 40
    assert list(tags) == [f"t{number}" for number in range(40)]


def test_forty_notes_are_kept_and_placeholders_take_no_place_of_a_tag() -> None:
    message = BUY | {f"n{number}": "{{x}}" for number in range(45)} | {"rsi": "50"}
    alert = read(message)
    assert len(alert.notes) == 40
    assert alert.notes[0] == "n0: the placeholder {{x}} was not filled in."
    assert alert.tags == {"rsi": 50.0}


def test_a_tag_is_a_number_or_its_text_and_both_are_bounded() -> None:
    tags = read(BUY | {"n" * 80: "1,5", "note": "x" * 300, "size_of": "1e400", "empty": "", "flag": True}).tags
    assert tags["n" * 60] == 1.5
    assert tags["note"] == "x" * 199 + "…"
    assert tags["size_of"] == "1e400"
    assert tags["flag"] == "true"
    assert "empty" not in tags


def test_known_fields_are_no_tags() -> None:
    assert read(BUY | {"price": 5, "id": "x", "interval": "5"}).tags == {}


# --- what is missing


def test_a_message_without_symbol_or_action_says_what_to_send() -> None:
    assert problem({"action": "buy"}) == "The message names no symbol. Send BTCUSDT or {{ticker}}."
    assert problem({"symbol": "BTCUSDT"}) == (
        "The message names no action. Send buy, sell or {{strategy.order.action}}."
    )
    assert problem({"ticker": "", "action": "buy"}) == (
        "The symbol is empty (ticker): a placeholder that does not exist for this alert is rendered as empty "
        "text. Send BTCUSDT or {{ticker}}."
    )
    assert problem(BUY | {"market_position": ""}) == (
        "The market position is empty: {{strategy.market_position}} is only filled in for strategy alerts. "
        "Leave it out, or send long, short or flat."
    )


def test_a_placeholder_with_a_known_name_and_one_without_are_told_apart() -> None:
    known = problem(BUY | {"price": "{{close}}"})
    assert known == (
        "The placeholder {{close}} was left in the message. TradingView fills it in when it sends an alert that "
        "has such a value; in a message sent by hand put the value there."
    )
    assert problem(BUY | {"price": "{{plot_0}}"}).startswith(
        "The placeholder {{plot_0}} was left in the message. Trad"
    )
    assert problem(BUY | {"price": "{{closed}}"}) == (
        "The placeholder {{closed}} was left in the message: TradingView has none of that name. "
        "Correct its spelling, or take it out."
    )


def test_the_words_before_pairs_fill_in_what_the_pairs_leave_out() -> None:
    alert = read("SELL BTCUSDT price=50000")
    assert (alert.symbol, alert.intent, alert.action, alert.price) == ("BTCUSDT", "short", "SELL", 50_000)
    assert read("note about ETHUSDT symbol=BTCUSDT action=buy").symbol == "BTCUSDT"
    assert read("SELL it symbol=BTCUSDT market_position=long").intent == "long"


# --- bare text: price and quantity


@pytest.mark.parametrize(
    ("text", "price", "quantity"),
    [
        ("BUY BTCUSDT @ 50000", "50000", None),
        ("BUY BTCUSDT at $50,000.5", "50000.5", None),
        ("BUY BTCUSDT price: 50000.", "50000", None),
        ("BUY BTCUSDT PRICE = 50000", "50000", None),
        ("BUY 2 BTCUSDT @ 50000", "50000", "2"),
        ("BUY BTCUSDT 2 at 50000", "50000", "2"),
        ("BUY 1,5 BTCUSDT", None, "1.5"),
        ("BUY BTCUSDT 50000", None, None),
        ("BUY 3. BTCUSDT", None, "3"),
    ],
)
def test_price_and_quantity_in_words(text: str, price: str | None, quantity: str | None) -> None:
    alert = read(text)
    assert alert.price == (None if price is None else Decimal(price))
    assert alert.quantity == (None if quantity is None else Decimal(quantity))


def test_the_default_message_without_a_position_is_told() -> None:
    text = "order buy @ 1.5 filled on BTCUSDT. New strategy position is n/a"
    assert problem(text) == "The new strategy position is empty in the message."
    alert = read("Order SELL @ 2 filled on BINANCE:BTCUSDT. New strategy position is -2")
    assert (alert.symbol, alert.intent, alert.quantity) == ("BINANCE:BTCUSDT", "short", 2)
    assert (alert.market_position, alert.position_size, alert.price) == ("short", -2, None)


# --- as JSON


def test_what_was_read_is_stored_without_what_is_absent_and_money_as_text() -> None:
    alert = read(BUY | {"price": "50000.50", "time": "2026-01-01T00:00:00Z", "interval": "5", "rsi": "31.5"})
    assert alert.as_json() == {
        "symbol": "BTCUSDT",
        "intent": "long",
        "action": "buy",
        "price": "50000.5",
        "bar_time": "2026-01-01T00:00:00+00:00",
        "interval": 300,
        "tags": {"rsi": 31.5},
    }
    noted = read({"symbol": "BTCUSDT", "action": "sell", "market_position": "long"}).as_json()
    assert noted["notes"] == [
        "A sell that leaves the strategy long is a partial exit: the position is left alone."
    ]


# --- fields


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("strategy.order.action", "order_action"),
        ("Order-Action", "order_action"),
        ("payload.data.symbol", "symbol"),
        ("tv_close", "close"),
        ("strategy_", "strategy"),
        ("order_", "order"),
        ("My Own  Field!", "my_own_field"),
        ("strategy.order.size", "order_size"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_name_has_one_spelling(path: str, name: str) -> None:
    assert canonical(path) == name


def test_the_first_spelling_with_a_value_wins_and_else_a_blank_one() -> None:
    assert Fields({"ticker": "B", "symbol": ""}).get("symbol") == ("ticker", "B")
    assert Fields({"ticker": "B", "symbol": "A"}).get("symbol") == ("symbol", "A")
    assert Fields({"ticker": "", "pair": ""}).get("symbol") == ("ticker", "")
    assert Fields({"x": "1"}).get("symbol") is None


def test_a_placeholder_is_short_and_on_one_line() -> None:
    assert placeholder("a {{b}} {{c}}") == "{{b}}"
    assert placeholder("{{" + "x" * 80 + "}}") == "{{" + "x" * 80 + "}}"
    assert placeholder("{{" + "x" * 81 + "}}") is None
    assert placeholder("{{a\nb}}") is None
    assert placeholder("{a}") is None


def test_text_is_shortened_to_its_length_with_a_mark_and_made_storable() -> None:
    assert printable("abcde", 5) == "abcde"
    assert printable("abcdef", 5) == "abcd…"
    assert printable("a\0b", 5) == "a\ufffdb"
    assert printable("ä\ud800", 5) == "ä\ufffd"


def test_pairs_are_separated_by_anything_and_quotes_are_taken_off() -> None:
    assert dict(read_fields(b"symbol='A'; action=\"buy\" | note: 'x y', price=5").values) == {
        "symbol": "A",
        "action": "buy",
        "note": "x y",
        "price": "5",
    }
    head = read_fields(b"BUY now symbol=A")
    assert (dict(head.values), head.text) == ({"symbol": "A"}, "BUY now")
    assert read_fields(b"http://x.y/z?a=b") == Fields({}, "http://x.y/z?a=b")
    assert read_fields(b"BINANCE:BTCUSDT buy") == Fields({}, "BINANCE:BTCUSDT buy")
    assert dict(read_fields(b"symbol=A symbol=B").values) == {"symbol": "A"}


def test_json_is_read_outer_fields_first_and_lists_by_their_place() -> None:
    nested = read_fields(b'{"data": {"symbol": "INNER", "more": [1, {"x": true}]}, "symbol": "OUTER", "n": null}')
    assert nested.values["symbol"] == "OUTER"
    assert nested.values["more_0"] == "1"
    assert nested.values["more_1_x"] == "true"
    assert nested.values["n"] == ""
    assert read_fields(b'[{"symbol": " A "}]').values == {"symbol": "A"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"BUY \xff", "The message is not UTF-8 text (byte 5)."),
        (b"BUY\0", "The message contains NUL bytes."),
        (b" \n ", "The message is empty."),
        (
            b'{"a": }',
            "The message looks like JSON but is not valid at line 1, column 7: a comma, colon or quote is "
            "missing or too many.",
        ),
        (b"[1, 2]", "The message is a list of 2 things; send one alert at a time."),
        (b"[]", "The message is a list of 0 things; send one alert at a time."),
        (b"[5]", "The message is JSON but no object with fields such as symbol and action."),
        (b"x" * 4097, "The message is 4,097 characters of text; only JSON may be that long."),
        (b'{"a":' * 3000, "The JSON is nested too deeply."),
        (json.dumps({str(n): n for n in range(201)}).encode(), "The message has more than 200 fields."),
        (" ".join(f"k{n}=1" for n in range(201)).encode(), "The message has more than 200 fields."),
    ],
)
def test_every_refusal_of_a_shape_is_a_whole_sentence(body: bytes, says: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_fields(body)
    assert str(caught.value) == says


def test_what_is_just_small_enough_is_read() -> None:
    assert len(read_fields(json.dumps({str(n): n for n in range(200)}).encode()).values) == 200
    many = " ".join(["symbol=A", *(f"k{n}=1" for n in range(199))])
    assert len(read_fields(many.encode()).values) == 200
    assert read_fields(b"x" * 4096).text == "x" * 4096
    assert read_fields(json.dumps({"note": "x" * 5000}).encode()).values["note"] == "x" * 499 + "…"
    assert read_fields(json.dumps({"note": "x" * 500}).encode()).values["note"] == "x" * 500


def test_a_text_in_quotes_is_what_it_quotes() -> None:
    assert read_fields(b'"BUY \\u0041"').text == "BUY A"
    assert read_fields(b'"').text == '"'
    assert read_fields(b'" "').text == '" "'
    assert read_fields(b'"a" b').text == '"a" b'


# --- values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("abc", "The price 'abc' is not a number."),
        ("1e15", "The price 1e15 is too large: at most 15 digits before the point."),
        ("-1e15", "The price -1e15 is too large: at most 15 digits before the point."),
        ("1e31", "The price 1e31 is not a finite number that could be traded."),
        ("1e30", "The price 1e30 is too large: at most 15 digits before the point."),
        ("nan", "The price nan is not a finite number that could be traded."),
    ],
)
def test_a_number_that_is_none_is_told(text: str, says: str) -> None:
    with pytest.raises(Unreadable) as caught:
        values.number(text, "price")
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("999999999999999", "999999999999999"),
        ("0.0000000001", "0.0000000001"),
        ("0.00000000009", "0"),
        ("-0.0000000001", "-0.0000000001"),
        ("1.23456789012", "1.2345678901"),
        ("€ 12", "12"),
        ("12 £", "12"),
        ("1'000", "1000"),
        ("1_000.5", "1000.5"),
        ("+1,000", "1000"),
        ("12,5", "12.5"),
        ("1.000,5", "1000.5"),
        ("1000,5", "1000.5"),
        ("NULL", None),
        ("None", None),
        ("na", None),
        ("  ", None),
    ],
)
def test_numbers_to_their_last_place(text: str, value: str | None) -> None:
    assert values.number(text, "price") == (None if value is None else Decimal(value))


def test_a_positive_number_is_above_zero() -> None:
    assert values.positive("0.5", "price") == Decimal("0.5")
    assert values.positive("", "price") is None
    with pytest.raises(Unreadable, match=r"^The price is 0; it must be above zero\.$"):
        values.positive("0.00", "price")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1767225600", datetime(2026, 1, 1, tzinfo=UTC)),
        ("1767225600.5", datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("1767225600000", datetime(2026, 1, 1, tzinfo=UTC)),
        ("99999999999", datetime.fromtimestamp(99_999_999_999, UTC)),
        ("100000000000", datetime.fromtimestamp(100_000_000, UTC)),
        ("2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01 00:00:00 UTC", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_to_the_second(text: str, moment: datetime) -> None:
    read_time = values.moment(text, "time")
    assert read_time == moment
    assert read_time is not None
    assert read_time.tzinfo == UTC


@pytest.mark.parametrize("text", ["soon", "12345678", "9" * 15, "2026-13-01"])
def test_a_time_that_is_none_is_told(text: str) -> None:
    assert values.moment("", "time") is None
    with pytest.raises(Unreadable) as caught:
        values.moment(text, "time")
    assert str(caught.value) == f"The time {text!r} is not a time: use ISO 8601 or epoch seconds or milliseconds."


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 60),
        ("S", 1),
        ("30s", 30),
        ("2min", 120),
        ("3 minutes", 180),
        ("1hour", 3600),
        ("2days", None),
        ("1day", 86_400),
        ("w", 604_800),
        ("2week", 1_209_600),
        ("m", 60),
        ("M", 2_592_000),
        ("3M", 7_776_000),
        ("2mo", 5_184_000),
        ("00", None),
        ("123456", None),
        (" 15 ", 900),
    ],
)
def test_intervals_of_every_unit(text: str, seconds: int | None) -> None:
    assert values.interval_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("BUY", "long"),
        ("Exit-Long", "flat"),
        (" flat! ", "flat"),
        ("go short", "short"),
        ("no action", "hold"),
        ("", None),
        ("buys", None),
    ],
)
def test_words_are_read_without_case_and_punctuation(text: str, intent: str | None) -> None:
    assert values.intent_of(text) == intent


# --- staleness

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def aged(*, limit: timedelta = 5 * MINUTE, waited: timedelta = timedelta(0), clocks=(), **times: Any) -> str:
    alert = ParsedAlert("BTCUSDT", "long", "buy", **times)
    return stale_reason(alert, NOW - waited, [Clock(NOW), *clocks], limit)


def test_an_alert_that_waited_here_longer_than_the_limit_is_old() -> None:
    assert aged(waited=5 * MINUTE) == ""
    late = aged(waited=5 * MINUTE + timedelta(seconds=1))
    assert late == "the alert waited 5 min here; the limit is 5 min"


def test_an_alert_fired_longer_ago_than_the_limit_is_old() -> None:
    assert aged(timenow=NOW - 5 * MINUTE) == ""
    assert aged(timenow=NOW - 121 * MINUTE) == (
        "the alert is from 2026-01-01 09:59:00 UTC, 2 h ago; the limit is 5 min"
    )


def test_a_bar_was_sent_by_its_close_and_without_a_length_within_a_day() -> None:
    assert sent_between(ParsedAlert("A", "long", "buy")) == (None, None)
    bar = ParsedAlert("A", "long", "buy", bar_time=NOW, interval=300)
    assert sent_between(bar) == (NOW, NOW + 5 * MINUTE)
    assert sent_between(ParsedAlert("A", "long", "buy", bar_time=NOW)) == (NOW, NOW + timedelta(days=1))
    fired = ParsedAlert("A", "long", "buy", timenow=NOW, bar_time=NOW - MINUTE, interval=300)
    assert sent_between(fired) == (NOW, NOW)
    far = datetime(9999, 12, 31, tzinfo=UTC)
    assert sent_between(ParsedAlert("A", "long", "buy", bar_time=far))[1] == datetime(9990, 1, 1, tzinfo=UTC)
    assert aged() == ""


AHEAD = (
    "the alert's time {} lies {} ahead of this desk's clock, which says 2026-01-01 12:00:00 UTC{}: how old it is "
    "can't be known, so it opens nothing. Check the clock of this machine and the time that the sender writes"
)


def test_a_time_more_than_a_minute_ahead_is_as_good_as_none() -> None:
    assert aged(timenow=NOW + MINUTE) == ""
    assert aged(timenow=NOW + MINUTE + timedelta(seconds=1)) == AHEAD.format("2026-01-01 12:01:01 UTC", "61 s", "")


def test_a_market_that_is_shown_again_has_its_own_clock_and_speed() -> None:
    market = Clock(NOW - timedelta(days=365), speed=10.0, step=5 * MINUTE)
    at = market.now
    assert aged(timenow=at - 55 * MINUTE, clocks=[market]) == ""
    assert "the alert is from" in aged(timenow=at - 56 * MINUTE, clocks=[market])
    assert aged(timenow=at + 15 * MINUTE, clocks=[market]) == ""
    ahead = aged(timenow=NOW + 2 * MINUTE, clocks=[market])
    assert ahead == AHEAD.format("2026-01-01 12:02:00 UTC", "2 min", " and 2025-01-01 12:00:00 UTC in the market")


def test_a_market_that_is_ahead_is_as_patient_with_times_ahead_of_it_as_it_is_fast() -> None:
    market = Clock(NOW + timedelta(days=30), speed=10.0, step=5 * MINUTE)
    second = timedelta(seconds=1)
    assert aged(timenow=market.now + 15 * MINUTE, clocks=[market]) == ""
    assert "lies 30 days ahead" in aged(timenow=market.now + 15 * MINUTE + second, clocks=[market])


def test_each_market_with_a_clock_of_its_own_is_named() -> None:
    days = [timedelta(days=365), timedelta(0), timedelta(days=1)]
    ahead = aged(timenow=NOW + 2 * MINUTE, clocks=[Clock(NOW - back) for back in days])
    markets = " and 2025-01-01 12:00:00 UTC in the market and 2025-12-31 12:00:00 UTC in the market"
    assert ahead == AHEAD.format("2026-01-01 12:02:00 UTC", "2 min", markets)


def test_the_limit_is_the_limit_at_the_speed_of_the_wall() -> None:
    assert "the alert is from" in aged(timenow=NOW - 5 * MINUTE - timedelta(seconds=1))


def test_a_slow_clock_is_as_patient_as_the_wall() -> None:
    slow = Clock(NOW - timedelta(days=365), speed=0.1)
    assert aged(timenow=slow.now - 5 * MINUTE, clocks=[slow]) == ""
    assert aged(timenow=slow.now + MINUTE, clocks=[slow]) == ""


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(days=2), "2 days"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=2), "2 h"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(seconds=119), "119 s"),
    ],
)
def test_spans_are_said_in_the_largest_unit_of_which_there_are_two(ago: timedelta, words: str) -> None:
    assert f", {words} ago;" in aged(timenow=NOW - ago, limit=timedelta(seconds=1))


def test_times_in_sentences_are_utc() -> None:
    east = timezone(timedelta(hours=2))
    given = values.moment("2026-01-01T09:00:00+02:00", "time")
    assert given == datetime(2026, 1, 1, 9, tzinfo=east)
    assert "from 2026-01-01 07:00:00 UTC" in aged(timenow=given)


def test_known_placeholders_are_those_of_tradingview() -> None:
    assert {
        "close",
        "timenow",
        "strategy.order.action",
        "strategy.prev_market_position_size",
        "syminfo.currency",
    } <= (fields.KNOWN_PLACEHOLDERS)
