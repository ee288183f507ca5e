"""Every sentence about an alert names what it is about, and no letter of a message is taken for a mark."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.support.parsing import BUY, problem, read
from webhooks.parsing import fields, values
from webhooks.parsing.alert import Unreadable
from webhooks.parsing.fields import read_fields


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"price": "x"}, "The price 'x' is not a number."),
        ({"price": "-1"}, "The price is -1; it must be above zero."),
        ({"quantity": "x"}, "The quantity 'x' is not a number."),
        ({"position_size": "x"}, "The position size 'x' is not a number."),
        ({"market_position": "1.2.3"}, "The market position '1.2.3' is not a number."),
        (
            {"market_position": "up"},
            "The market position 'up' is none of buy, sell, long, short, flat, close, exit.",
        ),
        ({"action": "up"}, "The action 'up' is none of buy, sell, long, short, flat, close, exit."),
        (
            {"action": "u" * 41},
            f"The action '{'u' * 39}…' is none of buy, sell, long, short, flat, close, exit.",
        ),
        (
            {"timenow": "soon"},
            "The time of the alert 'soon' is not a time: use ISO 8601 or epoch seconds or milliseconds.",
        ),
        (
            {"timenow": "s" * 41},
            f"The time of the alert '{'s' * 39}…' is not a time: use ISO 8601 or epoch seconds or milliseconds.",
        ),
        (
            {"bar_time": "soon"},
            "The time of the bar 'soon' is not a time: use ISO 8601 or epoch seconds or milliseconds.",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_named(changes: dict[str, str], says: str) -> None:
    assert problem(BUY | changes) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("BUY BTCUSDT @ 1.2.3", "The price '1.2.3' is not a number."),
        ("BUY BTCUSDT @ 0", "The price is 0; it must be above zero."),
        ("BUY 1.2.3 BTCUSDT", "The quantity '1.2.3' is not a number."),
        ("BUY 0 BTCUSDT", "The quantity is 0; it must be above zero."),
        (
            "order buy @ 1 filled on BTCUSDT. New strategy position is x",
            "The position size 'x' is not a number.",
        ),
        ("buy now", "The message names no symbol. Send BTCUSDT or {{ticker}}."),
        (
            "BTCUSDT",
            "The message says none of buy, sell, long, short, flat, close, exit, and names no fields.",
        ),
        ("buy or sell BTCUSDT", "The message asks for both long and short."),
    ],
)
def test_words_that_cannot_be_used_are_named(text: str, says: str) -> None:
    assert problem(text) == says


@pytest.mark.parametrize("symbol", ["XRPUSDT", "DYDX", "XLMX", "X:XRPUSDT"])
def test_no_letter_of_a_symbol_is_lost(symbol: str) -> None:
    assert read(f"BUY {symbol}").symbol == symbol
    assert read(f"symbol={symbol} action=buy").symbol == symbol
    assert read(f"symbol='{symbol}' action=buy").symbol == symbol


def test_an_exchange_may_have_an_exchange_in_front() -> None:
    assert read("buy FOO A:B:BTCUSDT").symbol == "A:B:BTCUSDT"


@pytest.mark.parametrize("end", [".", ",", "'", ".,'"])
def test_punctuation_behind_a_number_is_no_part_of_it(end: str) -> None:
    assert read(f"BUY BTCUSDT @ 500{end}").price == 500
    if "'" not in end:
        assert read(f"BUY 500{end} BTCUSDT").quantity == 500


def test_a_number_behind_the_symbol_is_no_quantity_wherever_the_symbol_comes_again() -> None:
    assert read("BUY BTCUSDT 5 (BTCUSDT)").quantity is None


@pytest.mark.parametrize("position", ["flat", "long", "short"])
def test_an_order_to_hold_asks_for_nothing_and_needs_no_note(position: str) -> None:
    alert = read(BUY | {"action": "hold", "market_position": position})
    assert (alert.intent, alert.notes) == ("hold", ())


def test_a_colon_without_a_space_is_one_behind_a_known_name() -> None:
    alert = read("symbol:BTCUSDT action:buy")
    assert (alert.symbol, alert.intent) == ("BTCUSDT", "long")


def test_a_placeholder_is_known_by_its_whole_name_and_shown_by_its_beginning() -> None:
    assert "TradingView has none of that name" in problem(BUY | {"price": "{{Xclose}}"})
    assert "TradingView fills it in" in problem(BUY | {"price": "{{ close }}"})
    assert problem(BUY | {"price": f"{{{{{'a' * 80}}}}}"}).startswith(
        f"The placeholder {{{{{'a' * 77}… was left in the message: "
    )


def test_a_quoted_text_that_is_too_long_is_told_with_its_length() -> None:
    assert read_fields(json.dumps("x" * 4096).encode()).text == "x" * 4096
    for length in (4097, 5000):
        assert problem(json.dumps("x" * length)) == (
            f"The message is {length:,} characters of text; only JSON may be that long."
        )


def test_names_inside_names_may_have_a_thousand_characters_together() -> None:
    assert read_fields(json.dumps({"a" * 998: {"b": 1}}).encode()).values == {"a" * 200: "1"}
    with pytest.raises(Unreadable, match=r"^The JSON is nested too deeply\.$"):
        read_fields(json.dumps({"a" * 999: {"b": 1}}).encode())


def test_what_is_wrong_with_json_is_said_only_where_it_is_known() -> None:
    assert fields._why_invalid("{", ValueError("who knows")) == ""


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's own time is nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
@pytest.mark.parametrize("text", ["2026-01-01T12:00:00", "2026-01-01T14:00:00+02:00", "1767268800"])
def test_a_time_does_not_depend_on_where_the_desk_stands(text: str) -> None:
    moment = values.moment(text, "time")
    assert moment == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert moment is not None
    assert moment.tzinfo is UTC


def test_digits_of_another_script_are_no_time() -> None:
    with pytest.raises(Unreadable, match="is not a time"):
        values.moment("١٧٦٧٢٢٥٦٠٠", "time")


def test_a_number_above_zero_is_named_where_it_is_none() -> None:
    assert values.positive("0.5", "price") == Decimal("0.5")
    with pytest.raises(Unreadable, match=r"^The price 'abc' is not a number\.$"):
        values.positive("abc", "price")
