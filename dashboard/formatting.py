"""How the desk writes numbers and lengths of time. Pure: values in, text out.

`dashboard.templatetags` registers these for the templates; selectors that compose sentences call them directly.
"""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from market.models import Instrument

Number = Decimal | float | int
DASH = "–"
MINUS = "\N{MINUS SIGN}"


def decimal_places(step: Decimal) -> int:
    """Return how many decimal places a tick or step size asks for."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def number(value: Number, places: int, *, sign: bool = False) -> str:
    """Write a number with thousands separators, a real minus sign and, if asked, a plus."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    if rounded == 0:
        rounded = abs(rounded)
    text = f"{abs(rounded):,f}"
    if rounded < 0:
        return MINUS + text
    return f"+{text}" if sign and rounded > 0 else text


def isolated(name: str) -> str:
    """Keep a name that is written from right to left from turning the figures around it."""
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def counted(count: int, noun: str) -> str:
    """Write how many there are of what `noun` names: 1 order, 1,234 orders."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def money(value: Number | None, places: int = 2) -> str:
    """Write an amount in the account's currency: 100,123.45."""
    return DASH if value is None else number(value, int(places))


def price(value: Number | None, instrument: "Instrument | None" = None) -> str:
    """Write a price with as many decimals as the instrument's tick size has."""
    if value is None:
        return DASH
    return number(value, decimal_places(instrument.tick_size) if instrument else 2)


def quantity(value: Number | None, instrument: "Instrument | None" = None) -> str:
    """Write a quantity to the instrument's step, without trailing zeros."""
    if value is None:
        return DASH
    text = number(value, decimal_places(instrument.step_size) if instrument else 8)
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: Number | None, places: int = 0) -> str:
    """Write a fraction of one as percent: 0.621 → 62 %."""
    return DASH if value is None else f"{number(Decimal(str(value)) * 100, int(places))} %"


def whole_percent(share: float) -> int:
    """Write a share in whole percent, rounded down: nothing is done before it is."""
    return int(share * 100)


def points(value: Number | None, places: int = 2) -> str:
    """Write a number that is already in percent: 1.5 → +1.50 %."""
    return DASH if value is None else f"{number(value, int(places), sign=True)} %"


def direction(value: Number | None) -> tuple[str, str]:
    """Return CSS class and arrow for the sign of a number."""
    if value is None or value == 0:
        return "", ""
    return ("up", "▲") if value > 0 else ("down", "▼")


def duration(seconds: Number | None) -> str:
    """Write a length of time in its largest fitting unit: 12 s, 3 min, 2 h 5 min, 4 d."""
    if seconds is None:
        return DASH
    total = max(0, int(seconds))
    if total < 90:
        return f"{total} s"
    if total < 5400:
        return f"{total // 60} min"
    if total < 172_800:
        hours, minutes = total // 3600, total % 3600 // 60
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{total // 86_400} d"


def latency(start: datetime | None, end: datetime | None) -> str:
    """Write the time between two moments: 42 ms, 1.3 s, 75 s."""
    if start is None or end is None:
        return DASH
    seconds = (end - start).total_seconds()
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def decimal_of(text: str | None) -> Decimal | None:
    """Return the number that is kept as decimal text in evidence; None where there is none."""
    try:
        return Decimal(text or "")
    except InvalidOperation:
        return None


def plain(text: str | float | None) -> str:
    """Write a number of the evidence without its trailing zeros; other text as it is."""
    value = decimal_of(str(text))
    if value is None or not value.is_finite():
        return str(text)
    return f"{abs(value.normalize()):,f}" if value > 0 else f"{MINUS}{abs(value.normalize()):,f}" if value else "0"


def amount(text: str | None) -> str:
    """Write an amount that is kept as decimal text in evidence."""
    value = decimal_of(text)
    return DASH if value is None else number(value, 2)


def humanised(name: str) -> str:
    """Write a name of the code for people: random-walk → Random walk."""
    return name.replace("_", " ").replace("-", " ").capitalize()
