"""How the desk writes numbers, times and states: the same on pages and in live fragments."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from dashboard.icons import ICONS
from dashboard.labels import STATES
from dashboard.live import fragments
from market.models import Instrument

register = template.Library()

Number = Decimal | float | int
DASH = "–"
MINUS = "\N{MINUS SIGN}"


def decimal_places(step: Decimal) -> int:
    """Return how many decimal places a tick or step size asks for."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def write(value: Number, places: int, *, sign: bool = False) -> str:
    """Write a number with thousands separators, a real minus sign and, if asked, a plus."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    if rounded == 0:
        rounded = abs(rounded)
    text = f"{abs(rounded):,f}"
    if rounded < 0:
        return MINUS + text
    return f"+{text}" if sign and rounded > 0 else text


@register.filter
def money(value: Number | None, places: int = 2) -> str:
    """Write an amount in the account's currency: 100,123.45."""
    return DASH if value is None else write(value, int(places))


@register.filter
def price(value: Number | None, instrument: Instrument | None = None) -> str:
    """Write a price with as many decimals as the instrument's tick size has."""
    if value is None:
        return DASH
    return write(value, decimal_places(instrument.tick_size) if instrument else 2)


@register.filter
def quantity(value: Number | None, instrument: Instrument | None = None) -> str:
    """Write a quantity to the instrument's step, without trailing zeros."""
    if value is None:
        return DASH
    text = write(value, decimal_places(instrument.step_size) if instrument else 8)
    return text.rstrip("0").rstrip(".") if "." in text else text


@register.filter
def percent(value: Number | None, places: int = 0) -> str:
    """Write a fraction of one as percent: 0.621 → 62 %."""
    return DASH if value is None else f"{write(Decimal(str(value)) * 100, int(places))} %"


@register.filter
def points(value: Number | None, places: int = 2) -> str:
    """Write a number that is already in percent: 1.5 → +1.50 %."""
    return DASH if value is None else f"{write(value, int(places), sign=True)} %"


def direction(value: Number | None) -> tuple[str, str]:
    """Return CSS class and arrow for the sign of a number."""
    if value is None or value == 0:
        return "", ""
    return ("up", "▲") if value > 0 else ("down", "▼")


@register.filter
def pnl(value: Number | None, places: int = 2) -> SafeString | str:
    """Write a profit or loss: sign, arrow and colour."""
    if value is None:
        return DASH
    # What rounds to nothing has no direction.
    shown = Decimal(str(value)).quantize(Decimal(1).scaleb(-int(places)))
    css, arrow = direction(shown)
    return format_html('<span class="pnl {}">{} {}</span>', css, write(value, int(places), sign=True), arrow)


@register.filter
def pnl_percent(value: Number | None, places: int = 2) -> SafeString | str:
    """Write a return that is already in percent: sign, arrow and colour."""
    if value is None:
        return DASH
    css, arrow = direction(value)
    return format_html('<span class="pnl {}">{} {}</span>', css, points(value, places), arrow)


def _aware(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC)


FORMATS = {
    "time": "%H:%M:%S",
    "minute": "%H:%M",
    "day": "%d %b %Y",
    "short": "%d %b %H:%M:%S",
    "full": "%d %b %Y %H:%M:%S UTC",
}


@register.simple_tag
def utc(value: datetime | str | None, style: str = "short") -> SafeString | str:
    """Write a time in UTC; the page shows the local time on hover."""
    if not value:
        return DASH
    moment = _aware(value)
    return format_html(
        '<time class="utc nowrap" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime(FORMATS["full"]),
        moment.strftime(FORMATS[style]),
    )


@register.filter
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


@register.simple_tag
def age(value: datetime | None, never: str = "never") -> SafeString | str:
    """Write how long ago a wall time was; the page keeps it counting."""
    if value is None:
        return never
    moment = _aware(value)
    return format_html(
        '<time class="age nowrap" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime(FORMATS["full"]),
        duration((timezone.now() - moment).total_seconds()),
    )


@register.filter
def badge(state: str | None) -> SafeString:
    """Write a state, action, side or result with its colour (see `dashboard.labels`)."""
    key = str(state or "")
    css, label = STATES.get(key, ("", key.replace("_", " ").capitalize()))
    return format_html('<span class="badge {}">{}</span>', css, label)


@register.simple_tag
def market_badge(kind: str | None) -> SafeString:
    """Mark how real a price is: SIMULATED, REPLAY, LIVE, IMPORTED."""
    key = str(kind or "")
    return format_html('<span class="badge market {}">{}</span>', key, key.upper()) if key else mark_safe("")


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw one of the line icons; decoration only, so hidden from screen readers."""
    return format_html(
        '<svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>',
        ICONS[name],
    )


@register.inclusion_tag("components/confidence.html")
def confidence(decision: Any, text: bool = True) -> dict[str, Any]:
    """Draw confidence against break-even as a small bar with its interval."""
    value = decision.confidence
    break_even = decision.break_even
    low, high = decision.confidence_low or 0.0, decision.confidence_high or 0.0
    return {
        "value": value,
        "low": round(low * 100, 1),
        "width": round((value or 0) * 100, 1),
        "span": round(max(0.0, high - low) * 100, 1),
        "mark": None if break_even is None else round(min(break_even, 0.99) * 100, 1),
        "break_even": break_even,
        "css": "" if break_even is None or value is None else ("up" if value >= break_even else "down"),
        "text": text,
    }


@register.simple_tag
def live(topic: str, key: Any = "", label: str = "") -> SafeString:
    """Render a live region: now for the page, and again whenever the topic changes."""
    name = f"{topic}:{key}" if key != "" else topic
    labelled = format_html(' role="status" aria-label="{}"', label) if label else ""
    return format_html(
        '<div class="live-region" id="{}" data-topic="{}"{}>{}</div>',
        fragments.element_id(name),
        name,
        labelled,
        fragments.render(name),
    )


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """Return the page's own query string with some parameters changed; None removes one."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return "?" + parameters.urlencode() if parameters else "?"


@register.filter
def fill_value(fill: Any) -> Decimal:
    """Return what an execution was worth: quantity times price."""
    value: Decimal = fill.quantity * fill.price
    return value
