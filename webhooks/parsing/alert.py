"""The second half of reading an alert: named fields into an intent with its numbers. Pure.

`market_position` is what the strategy holds *after* its order, so it wins over the order's side: buy + flat
closes a short. An order against the position it leaves (sell, still long) is a partial exit: the desk holds or
closes whole positions, so it asks for nothing (`hold`), with a note. HOLD, which older senders use,
asks for nothing too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal

from webhooks.parsing import values
from webhooks.parsing.fields import (
    FIELD_OF,
    Fields,
    Unreadable,
    not_filled_in,
    placeholder,
    printable,
    read_fields,
)
from webhooks.parsing.values import AlertIntent

__all__ = ["ParsedAlert", "Unreadable", "parse"]

MAX_TAGS = 40
_WORD = re.compile(r"[A-Za-z]+")
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._!-]{0,39}")
_QUOTED_IN = re.compile(
    r"^[A-Z0-9]{2,12}[/_-]?(?:USDT|USDC|BUSD|FDUSD|USD|EUR|GBP|JPY|BTC|ETH|BNB)(?:\.P|PERP)?$", re.I
)
_AT_PRICE = re.compile(r"(?:@|\bat\b|\bprice\b)\s*[:=]?\s*([$€£]?\d[\d.,']{0,30})(?![\d.,':])", re.I)
_A_NUMBER = re.compile(r"(?<![\w.:@])(\d[\d.,]{0,20})(?![\w:])")
# What TradingView writes when a strategy's alert message is left at its default.
_DEFAULT_MESSAGE = re.compile(
    r"order (buy|sell) @ (\S{1,30}) filled on (\S{1,40}?)\.? New strategy position is (\S{1,30}?)\.?$", re.I
)
_NOT_SYMBOLS = frozenset(
    {
        "at",
        "to",
        "of",
        "on",
        "in",
        "the",
        "for",
        "and",
        "now",
        "price",
        "signal",
        "alert",
        "order",
        "market",
        "limit",
    }
    | {"position", "entry", "stop", "target", "new", "is"}
)


@dataclass(frozen=True, slots=True)
class ParsedAlert:
    """What an alert asks for. Prices and quantities are above zero or absent; times are aware UTC."""

    symbol: str
    intent: AlertIntent
    action: str
    price: Decimal | None = None
    quantity: Decimal | None = None
    order_id: str = ""
    timenow: datetime | None = None
    bar_time: datetime | None = None
    interval: int | None = None  # seconds of a bar
    market_position: str = ""
    previous_position: str = ""
    position_size: Decimal | None = None
    tags: Mapping[str, str | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the fields that have a value, in JSON's types; money as text."""
        return {name: _json(value) for name, value in asdict(self).items() if value not in (None, "", (), {})}


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def parse(body: bytes) -> ParsedAlert:
    """Return what `body` asks for. Raises Unreadable, and nothing else, whatever the bytes."""
    fields = read_fields(body)
    if not fields.values:
        return _from_text(fields.text)
    return _from_fields(_completed(fields) if fields.text else fields)


def _completed(fields: Fields) -> Fields:
    """Take what the pairs leave out from the words before them: `BUY BTCUSDT price=50000`."""
    given = dict(fields.values)
    if fields.get("symbol") is None:
        given["symbol"] = _symbol_of(fields.text)
    if fields.get("action") is None and fields.get("market_position") is None:
        given["action"] = _intent_of_words(fields.text)[1]
    return Fields(given)


def _from_fields(fields: Fields) -> ParsedAlert:
    tags, notes = _tags(fields)
    action, position = _optional(fields, "action"), _optional(fields, "market_position")
    size = values.number(_optional(fields, "position_size"), "position size")
    intent, partial = _intent(fields, action, position, size)
    return ParsedAlert(
        symbol=_required(fields, "symbol"),
        intent=intent,
        action=action,
        price=values.positive(_optional(fields, "price"), "price"),
        quantity=_quantity(fields, intent),
        order_id=_optional(fields, "order_id"),
        timenow=values.moment(_optional(fields, "timenow"), "time of the alert"),
        bar_time=values.moment(_optional(fields, "bar_time"), "time of the bar"),
        interval=values.interval_seconds(_optional(fields, "interval")),
        market_position=position.lower(),
        previous_position=_optional(fields, "previous_position").lower(),
        position_size=size,
        tags=tags,
        notes=(*notes, *partial),
    )


def _optional(fields: Fields, name: str) -> str:
    """Return the value of a field that trading depends on; a placeholder left in it is never passed on."""
    _, value = fields.get(name) or ("", "")
    if left := placeholder(value):
        raise Unreadable(not_filled_in(left))
    return value


def _required(fields: Fields, name: str) -> str:
    value = _optional(fields, name)
    if value:
        return value
    raise Unreadable(_missing(fields, name))


def _missing(fields: Fields, name: str) -> str:
    example = {"symbol": "BTCUSDT or {{ticker}}", "action": "buy, sell or {{strategy.order.action}}"}[name]
    if sent := fields.get(name):
        return (
            f"The {name} is empty ({sent[0]}): a placeholder that does not exist for this alert is rendered as "
            f"empty text. Send {example}."
        )
    return f"The message names no {name}. Send {example}."


def _intent(
    fields: Fields, action: str, position: str, size: Decimal | None
) -> tuple[AlertIntent, tuple[str, ...]]:
    """Return what is asked for, and notes about it."""
    ordered = _word_of(action, "action") if action else None
    held = _held(fields, position)
    if held is None and size == 0 and ordered in {"long", "short"}:
        held = "flat"
    if held is None:
        if ordered is None:
            raise Unreadable(_missing(fields, "action"))
        return ordered, ()
    if ordered in {"flat", "hold"}:
        return ordered, ()
    if ordered and held != "flat" and ordered != held:
        note = f"A {action.lower()} that leaves the strategy {held} is a partial exit: the position is left alone."
        return "hold", (note,)
    return held, ()


def _held(fields: Fields, position: str) -> AlertIntent | None:
    if position:
        return _position_of(position)
    if fields.get("market_position") is not None:
        raise Unreadable(
            "The market position is empty: {{strategy.market_position}} is only filled in for strategy alerts. "
            "Leave it out, or send long, short or flat."
        )
    return None


def _position_of(text: str) -> AlertIntent:
    """Return the position meant by a word, or by a number with its sign."""
    if re.fullmatch(r"[+-]?[\d.,]+", text):
        size = values.number(text, "market position") or 0
        return "flat" if size == 0 else "long" if size > 0 else "short"
    held = _word_of(text, "market position")
    return "flat" if held == "hold" else held


def _word_of(text: str, name: str) -> AlertIntent:
    intent = values.intent_of(text)
    if intent is None:
        raise Unreadable(
            f"The {name} {printable(text, 40)!r} is none of buy, sell, long, short, flat, close, exit."
        )
    return intent


def _quantity(fields: Fields, intent: AlertIntent) -> Decimal | None:
    """Return the quantity; the zero that strategies send with a closing order is none."""
    value = values.number(_optional(fields, "quantity"), "quantity")
    if value is None or (value == 0 and intent in {"flat", "hold"}):
        return None
    if value <= 0:
        raise Unreadable(f"The quantity is {value.normalize():f}; it must be above zero.")
    return value


def _tags(fields: Fields) -> tuple[dict[str, str | float], tuple[str, ...]]:
    """Return what else was sent, as evidence; placeholders left there are noted, as nothing is traded by them."""
    tags: dict[str, str | float] = {}
    notes: list[str] = []
    for name, value in fields.values.items():
        if name in FIELD_OF or not name or not value:
            continue
        if left := placeholder(value):
            notes.append(f"{printable(name, 40)}: the placeholder {printable(left, 60)} was not filled in.")
        elif len(tags) < MAX_TAGS:
            tags[name[:60]] = _tag(value)
    return tags, tuple(notes[:MAX_TAGS])


def _tag(value: str) -> str | float:
    try:
        plain = values.number(value, "tag")
    except Unreadable:
        plain = None
    return float(plain) if plain is not None else printable(value, 200)


def _from_text(text: str) -> ParsedAlert:
    """Read bare text: TradingView's default strategy message, or words such as `BUY BTCUSDT @ 50000`."""
    if left := placeholder(text):
        raise Unreadable(not_filled_in(left))
    if standard := _DEFAULT_MESSAGE.search(text):
        return _from_default(*standard.groups())
    intent, word = _intent_of_words(text)
    symbol = _symbol_of(text)
    price = _AT_PRICE.search(text)
    # A lone number behind the symbol could be either; before it, or before a price, it is the quantity.
    amount = _A_NUMBER.search(text[: price.start() if price else text.index(symbol)])
    return ParsedAlert(
        symbol=symbol,
        intent=intent,
        action=word,
        price=values.positive(price.group(1).rstrip(".,'"), "price") if price else None,
        quantity=values.positive(amount.group(1).rstrip(".,"), "quantity") if amount else None,
    )


def _from_default(action: str, contracts: str, symbol: str, position: str) -> ParsedAlert:
    size = values.number(position, "position size")
    if size is None:
        raise Unreadable("The new strategy position is empty in the message.")
    held = "flat" if size == 0 else "long" if size > 0 else "short"
    known = {"symbol": symbol, "order_action": action, "market_position": held, "contracts": contracts}
    return _from_fields(Fields({**known, "position_size": position}))


def _intent_of_words(text: str) -> tuple[AlertIntent, str]:
    words = [(intent, word) for word in _WORD.findall(text) if (intent := values.intent_of(word)) is not None]
    intents: set[AlertIntent] = {intent for intent, _ in words if intent != "hold"}
    for intent, word in words:
        if intent == "flat" or (len(intents) <= 1 and intent in (intents or {"hold"})):
            return intent, word
    if len(intents) > 1:
        raise Unreadable("The message asks for both long and short.")
    raise Unreadable("The message says none of buy, sell, long, short, flat, close, exit, and names no fields.")


def _symbol_of(text: str) -> str:
    tokens: list[str] = [token.strip(".:,!-") for token in _TOKEN.findall(text)]
    words = [token for token in tokens if any(map(str.isalpha, token)) and values.intent_of(token) is None]
    likely_ones: tuple[Callable[[str], object], ...] = (
        lambda token: ":" in token and _QUOTED_IN.match(token.rpartition(":")[2]),
        _QUOTED_IN.match,
        lambda token: token.isupper() and 2 <= len(token) <= 20 and token.lower() not in _NOT_SYMBOLS,
        lambda token: len(words) == 1 and token.lower() not in _NOT_SYMBOLS,
    )
    for likely in likely_ones:
        for token in words:
            if likely(token):
                return token
    raise Unreadable("The message names no symbol. Send BTCUSDT or {{ticker}}.")
