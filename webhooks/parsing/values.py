"""Numbers, times and words as senders write them. Pure.

What can't be read raises Unreadable with a plain sentence.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

from webhooks.parsing.fields import Unreadable, printable

AlertIntent = Literal["long", "short", "flat", "hold"]

_LARGEST = Decimal(10) ** 15
_ABSURD = 30  # digits: nobody writes such a number, so it is called what it overflows to
_SMALLEST = Decimal(10) ** -10  # the last decimal that is stored
# Groups of thousands are parted by one and the same sign, and the first never begins with 0: 0,500 is a half.
_THOUSANDS = re.compile(r"^[+-]?[1-9]\d{0,2}([,' _\u00a0\u202f])\d{3}(?:\1\d{3})*(?:\.\d+)?$")
_THOUSANDS_BY_POINT = re.compile(r"^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$")
_DECIMAL_COMMA = re.compile(r"^[+-]?(?:0|[1-9]\d*|[1-9]\d{0,2}([.' _\u00a0\u202f])\d{3}(?:\1\d{3})*),\d+$")
_GROUPING = re.compile(r"[,.' _\u00a0\u202f]")
_PLAIN = re.compile(r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?(?:nan|inf|infinity)$", re.I)
_INTERVAL = re.compile(r"^(\d{0,5})\s*([A-Za-z]{0,7})$")
_UNIT_SECONDS = {
    "": 60, "s": 1, "sec": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hour": 3600,
    "hours": 3600, "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800, "mo": 2_592_000, "month": 2_592_000,
}  # fmt: skip
_EPOCH_MILLISECONDS = 10**11  # seconds until the year 5138 are smaller

_LONG = "buy long bull bullish enter_long entry_long open_long long_entry buy_long go_long strong_buy"
_SHORT = "sell short bear bearish enter_short entry_short open_short short_entry sell_short go_short strong_sell"
_FLAT = (
    "flat close exit closed close_long close_short exit_long exit_short long_exit short_exit long_close "
    "short_close closelong closeshort exitlong exitshort close_all close_position exit_all exit_position cover "
    "buy_to_cover buy_to_close sell_to_close flatten"
)
_HOLD = "hold wait keep neutral none no_action"
_INTENTS: dict[str, AlertIntent] = {
    **dict.fromkeys(_LONG.split(), "long"),
    **dict.fromkeys(_SHORT.split(), "short"),
    **dict.fromkeys(_FLAT.split(), "flat"),
    **dict.fromkeys(_HOLD.split(), "hold"),
}


def intent_of(text: str) -> AlertIntent | None:
    """Return what a word such as BUY, Exit-Long or flat asks for, or None if it is no such word."""
    return _INTENTS.get(re.sub(r"[^a-z]+", "_", text.lower()).strip("_"))


def number(text: str, name: str) -> Decimal | None:
    """Return a number as people and platforms write it (`50,000.5`, `1.234,5`, `$ 12`), or None if it is blank."""
    plain = text.strip().strip("$€£").strip()
    if not plain or plain.lower() in {"na", "n/a", "null", "none"}:
        return None
    value = _decimal(plain)
    if value is None:
        raise Unreadable(f"The {name} {printable(text, 40)!r} is not a number.")
    if not value.is_finite() or value.adjusted() > _ABSURD:
        raise Unreadable(f"The {name} {printable(text, 40)} is not a finite number that could be traded.")
    if abs(value) >= _LARGEST:
        raise Unreadable(f"The {name} {printable(text, 40)} is too large: at most 15 digits before the point.")
    return value.quantize(_SMALLEST) if abs(value) >= _SMALLEST else Decimal(0)


def _decimal(plain: str) -> Decimal | None:
    if _DECIMAL_COMMA.match(plain) and not _THOUSANDS.match(plain):
        whole, _, part = plain.partition(",")
        plain = f"{_GROUPING.sub('', whole)}.{part}"
    elif _THOUSANDS.match(plain):
        whole, point, part = plain.partition(".")
        plain = f"{_GROUPING.sub('', whole)}{point}{part}"
    elif _THOUSANDS_BY_POINT.match(plain):
        plain = plain.replace(".", "")
    if not _PLAIN.match(plain):  # Decimal would take 1_2 for 12
        return None
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def positive(text: str, name: str) -> Decimal | None:
    """Return a number above zero, or None if it is blank."""
    value = number(text, name)
    if value is not None and value <= 0:
        raise Unreadable(f"The {name} is {value.normalize():f}; it must be above zero.")
    return value


def moment(text: str, name: str) -> datetime | None:
    """Return a time given as ISO 8601 (UTC if it names no zone) or as epoch seconds or milliseconds, aware UTC."""
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{9,14}(?:\.\d{1,9})?", text, re.ASCII):
            epoch = float(text)
            return datetime.fromtimestamp(epoch / 1000 if epoch >= _EPOCH_MILLISECONDS else epoch, UTC)
        given = datetime.fromisoformat(text.replace(" UTC", "Z"))
        aware = given if given.tzinfo else given.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Unreadable(
            f"The {name} {printable(text, 40)!r} is not a time: use ISO 8601 or epoch seconds or milliseconds."
        ) from None


def interval_seconds(text: str) -> int | None:
    """Return the seconds of a bar as TradingView writes it (`5`, `60`, `5S`, `D`) or people do (`15m`, `4h`).

    A capital M alone means months, a small one minutes. None if it can't be read: it only serves staleness.
    """
    match = _INTERVAL.match(text.strip())
    if match is None or not match.group():
        return None
    count, unit = match.groups()
    seconds = _UNIT_SECONDS["mo"] if unit == "M" else _UNIT_SECONDS.get(unit.lower())
    return int(count or 1) * seconds if seconds and int(count or 1) else None
