"""The first half of reading an alert: bytes of any shape into named fields of text, without their meaning. Pure.

Senders nest, prefix and spell the same thing in many ways: `{"strategy": {"order": {"action": "buy"}}}`,
`{"strategy.order.action": "buy"}`, `order-action=buy`. All become `order_action`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

MAX_KEYS = 200
MAX_TEXT = 4096  # characters of an alert that is not JSON
MAX_VALUE = 500  # characters of one value

ALIASES: Mapping[str, tuple[str, ...]] = {
    # The first spelling that has a value wins.
    "symbol": ("symbol", "ticker", "instrument", "pair", "tickerid", "syminfo_ticker", "asset", "coin", "product"),
    "action": (
        "order_action", "action", "order_side", "side", "signal", "order_type_action", "command", "cmd",
        "trade_action", "order", "trade", "direction",
    ),
    "market_position": ("market_position", "marketposition", "position", "position_side"),
    "previous_position": (
        "prev_market_position", "previous_market_position", "previous_position", "prev_position",
    ),
    "position_size": ("position_size", "market_position_size"),
    "price": ("order_price", "price", "close", "entry_price", "entry", "current_price", "last_price", "last"),
    "quantity": ("order_contracts", "contracts", "quantity", "qty", "order_size", "size", "amount"),
    "order_id": ("order_id", "orderid", "order_name"),
    "timenow": ("timenow", "time_now", "fired_at", "sent_at", "alert_time"),
    "bar_time": ("time", "timestamp", "bar_time", "bartime", "datetime", "date"),
    "interval": ("interval", "timeframe", "resolution", "tf"),
    "id": ("id", "alert_id", "event_id", "idempotency_key"),
}  # fmt: skip
FIELD_OF = {spelling: name for name, spellings in ALIASES.items() for spelling in spellings}
# Envelopes without a meaning of their own.
_ENVELOPES = ("strategy_", "order_", "data_", "payload_", "alert_", "tradingview_", "tv_", "bar_", "body_")
KNOWN_PLACEHOLDERS = frozenset(
    ["ticker", "exchange", "interval", "open", "high", "low", "close", "volume", "time", "timenow"]
    + ["syminfo.currency", "syminfo.basecurrency"]
    + [f"strategy.order.{name}" for name in ("action", "contracts", "price", "id", "comment", "alert_message")]
    + [f"strategy.{name}" for name in ("position_size", "market_position", "market_position_size")]
    + [f"strategy.prev_{name}" for name in ("market_position", "market_position_size")]
)
_PLACEHOLDER = re.compile(r"\{\{[^{}\n]{0,80}\}\}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_PAIR = re.compile(r"(?:^|(?<=[\s,;&|]))([A-Za-z_][\w.\-]{0,60})[ \t]{0,3}([=:])(?!//)")


#: JSON as it is parsed here: numbers stay the text they were.
Scalar: TypeAlias = bool | str | None
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"


class Unreadable(Exception):
    """An alert that can't be understood. Its text is a plain sentence for the person who sent it."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Named pieces of one alert, in the order they came. `text` is what stands before the first name."""

    values: Mapping[str, str]
    text: str = ""

    def get(self, name: str) -> tuple[str, str] | None:
        """Return (spelling, value) of a field by the name in `ALIASES`: the first that is not blank, else a
        blank one, else None."""
        given = [key for key in ALIASES[name] if key in self.values]
        filled = [key for key in given if self.values[key]]
        for key in filled or given:
            return key, self.values[key]
        return None


def placeholder(text: str) -> str | None:
    """Return the first `{{…}}` left in `text`."""
    match = _PLACEHOLDER.search(text)
    return match.group() if match else None


def read_fields(body: bytes) -> Fields:
    """Return the named pieces of a message in JSON, `key=value` / `key: value` text, or bare text.

    Raises Unreadable, and nothing else, whatever the bytes; in time linear in their number.
    """
    text = _decode(body)
    if text[:1] in "{[":
        return _from_json(_load(text))
    if text[:1] == '"':
        text = _quoted(text)
    if len(text) > MAX_TEXT:
        raise Unreadable(f"The message is {len(text):,} characters of text; only JSON may be that long.")
    pairs, head = _pairs(text)
    if any(name in FIELD_OF for name in pairs):
        return Fields(pairs, head)
    return Fields({}, text)


def _decode(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"The message is not UTF-8 text (byte {error.start + 1}).") from None
    if "\0" in text:
        raise Unreadable("The message contains NUL bytes.")
    text = text.strip()
    if not text:
        raise Unreadable("The message is empty.")
    return text


def _load(text: str) -> Json:
    """Parse JSON with every number kept as the text it was: nothing overflows and NaN stays visible."""
    try:
        value: Json = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except RecursionError:
        raise Unreadable("The JSON is nested too deeply.") from None
    except ValueError as error:
        if left := placeholder(text):
            raise Unreadable(not_filled_in(left)) from None
        raise Unreadable(f"The message looks like JSON but is not valid{_why_invalid(text, error)}.") from None
    return value


def _why_invalid(text: str, error: ValueError) -> str:
    """Return where JSON stops being valid and what is wrong there, as far as that can be told."""
    if not isinstance(error, json.JSONDecodeError):
        return ""
    where = f" at line {error.lineno}, column {error.colno}"
    rest = text[error.pos :].strip()
    if not rest or error.msg.startswith("Unterminated"):
        return f"{where}: it ends too early, a closing quote, bracket or brace is missing"
    if error.msg.startswith("Extra data"):
        return f"{where}: something follows after its end"
    if rest[0].isalpha():
        return f"{where}: text needs quotes around it, placeholders for text too"
    return f"{where}: a comma, colon or quote is missing or too many"


def not_filled_in(left: str) -> str:
    """Return the sentence about a placeholder that was left as it is, with what to do about it."""
    name = left.strip("{} ")
    shown = printable(left, 80)
    if name in KNOWN_PLACEHOLDERS or name.startswith("plot"):
        return (
            f"The placeholder {shown} was left in the message. TradingView fills it in when it sends an alert "
            "that has such a value; in a message sent by hand put the value there."
        )
    return (
        f"The placeholder {shown} was left in the message: TradingView has none of that name. "
        "Correct its spelling, or take it out."
    )


def _quoted(text: str) -> str:
    try:
        inner = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return printable(inner.strip(), len(inner)) if isinstance(inner, str) and inner.strip() else text


def _from_json(value: Json) -> Fields:
    if isinstance(value, list):
        if len(value) != 1:
            raise Unreadable(f"The message is a list of {len(value)} things; send one alert at a time.")
        value = value[0]
    if not isinstance(value, dict):
        raise Unreadable("The message is JSON but no object with fields such as symbol and action.")
    values: dict[str, str] = {}
    for path, leaf in _leaves(value):
        if len(values) >= MAX_KEYS:
            raise Unreadable(f"The message has more than {MAX_KEYS} fields.")
        values.setdefault(canonical(path), printable(leaf, MAX_VALUE))
    return Fields(values)


def _leaves(value: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every scalar, outer ones first, so that an envelope never hides a plain field."""
    level: list[tuple[str, Json]] = list(value.items())
    while level:
        below: list[tuple[str, Json]] = []
        for path, child in level:
            if isinstance(child, dict):
                below.extend((f"{path}.{key}", inner) for key, inner in child.items())
            elif isinstance(child, list):
                below.extend((f"{path}.{index}", inner) for index, inner in enumerate(child))
            else:
                yield path, _text_of(child)
        if any(len(path) > 1000 for path, _ in below):
            raise Unreadable("The JSON is nested too deeply.")
        level = below


def _text_of(scalar: Scalar) -> str:
    if scalar is None:
        return ""
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar).strip()


@lru_cache(maxsize=2048)
def canonical(path: str) -> str:
    """Return the one spelling of a field's name: `strategy.order.action`, `Order-Action` → `order_action`."""
    name = re.sub(r"[^a-z0-9]+", "_", path[:200].lower()).strip("_")
    while name not in FIELD_OF:
        envelope = next((each for each in _ENVELOPES if name.startswith(each) and name != each), None)
        if envelope is None:
            break
        name = name.removeprefix(envelope)
    return name


def printable(text: str, length: int) -> str:
    """Return at most `length` characters of `text` without what PostgreSQL or a page can't hold."""
    shortened = text if len(text) <= length else text[: length - 1] + "…"
    if shortened.isascii() and "\0" not in shortened:
        return shortened
    return _UNSTORABLE.sub("\ufffd", shortened)


def _pairs(text: str) -> tuple[dict[str, str], str]:
    """Return `key=value` and `key: value` pairs (separated by comma, semicolon, newline, `&`, `|` or space), and
    what stands before the first."""
    keys = [match for match in _PAIR.finditer(text) if _is_key(text, match)][: MAX_KEYS + 1]
    if len(keys) > MAX_KEYS:
        raise Unreadable(f"The message has more than {MAX_KEYS} fields.")
    ends = [match.start() for match in keys[1:]] + [len(text)] * bool(keys)
    values: dict[str, str] = {}
    for match, end in zip(keys, ends, strict=True):
        value = text[match.end() : end].strip(" \t\r\n,;&|").strip("\"'").strip()
        values.setdefault(canonical(match.group(1)), printable(value, MAX_VALUE))
    return values, text[: keys[0].start()].strip() if keys else text


def _is_key(text: str, match: re.Match[str]) -> bool:
    """Distinguish a key from an exchange prefix (`BINANCE:BTCUSDT`), which is a colon without a space after it."""
    if match.group(2) == "=" or canonical(match.group(1)) in FIELD_OF:
        return True
    return text[match.end() : match.end() + 1].isspace()
