"""How the desk writes numbers, times and states: the same on pages and in live fragments."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from brokers.models import Fill
from dashboard.formatting import (
    DASH,
    Number,
    counted,
    direction,
    duration,
    money,
    number,
    percent,
    points,
    price,
    quantity,
)
from dashboard.icons import ICONS
from dashboard.labels import STATES
from dashboard.live import fragments, topics
from dashboard.once import FIELD, new_token
from memory.models import Decision

register = template.Library()

for function in (counted, money, number, price, quantity, percent, points, duration):
    register.filter(function)


@register.filter
def pnl(value: Number | None, places: int = 2) -> SafeString | str:
    """Write a profit or loss: sign, arrow and colour."""
    if value is None:
        return DASH
    # What rounds to nothing has no direction.
    shown = Decimal(str(value)).quantize(Decimal(1).scaleb(-int(places)))
    css, arrow = direction(shown)
    return format_html('<span class="pnl {}">{} {}</span>', css, number(value, int(places), sign=True), arrow)


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
    "dated": "%d %b %Y %H:%M:%S",
    "full": "%d %b %Y %H:%M:%S UTC",
}


@register.simple_tag
def utc(value: datetime | str | None, style: str = "short") -> SafeString | str:
    """Write a time in UTC; the page shows the local time on hover."""
    if not value:
        return DASH
    moment = _aware(value)
    # Market time may lie years back: a day without its year would read as one of this year.
    if style == "short" and moment.year != timezone.now().year:
        style = "dated"
    return format_html(
        '<time class="utc nowrap" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime(FORMATS["full"]),
        moment.strftime(FORMATS[style]),
    )


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
    if not key:
        return SafeString("")
    css, label = STATES.get(key, ("", key.replace("_", " ").capitalize()))
    return format_html('<span class="badge {}">{}</span>', css, label)


@register.simple_tag
def market_badge(kind: str | Sequence[str] | None, usual: str = "") -> SafeString:
    """Mark how real prices are: SIMULATED, REPLAY, LIVE, IMPORTED; several kinds in one badge.

    Where the status bar already says `usual`, only another kind is worth a mark.
    """
    kinds = [kind] if isinstance(kind, str) else list(kind or [])
    if not any(kinds) or kinds == [usual]:
        return mark_safe("")
    return format_html('<span class="badge market {}">{}</span>', " ".join(kinds), " + ".join(kinds).upper())


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw one of the line icons; decoration only, so hidden from screen readers."""
    return format_html(
        '<svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>',
        ICONS[name],
    )


@register.inclusion_tag("components/confidence.html")
def confidence(decision: Decision, text: bool = True) -> dict[str, object]:
    """Draw confidence as a small bar with its interval; only what lies beyond break-even has a colour.

    What does not enter has no odds to show.
    """
    value = decision.confidence if decision.enters else None
    break_even = decision.break_even
    low, high = decision.confidence_low or 0.0, decision.confidence_high or 0.0
    return {
        "value": value,
        "low": round(low * 100, 1),
        "width": round((value or 0) * 100, 1),
        "span": round(max(0.0, high - low) * 100, 1),
        "mark": None if break_even is None else round(min(break_even, 0.99) * 100, 1),
        "break_even": break_even,
        "over": 0.0 if break_even is None else round(max(0.0, (value or 0.0) - break_even) * 100, 1),
        "text": text,
    }


@register.simple_tag
def live(name: str, key: int | str = "") -> SafeString:
    """Render a live region: now for the page, and again whenever the topic changes."""
    topic = topics.topic(name, key) if key != "" else name
    return format_html(
        '<div class="live-region" id="{}" data-topic="{}">{}</div>',
        fragments.element_id(topic),
        topic,
        fragments.render(topic),
    )


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: object) -> str:
    """Return the page's own query string with some parameters changed; None removes one."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return "?" + parameters.urlencode() if parameters else "?"


@register.simple_tag
def once() -> SafeString:
    """Write the field that lets the form around it act once, however often it is sent (`dashboard.once`)."""
    return format_html('<input type="hidden" name="{}" value="{}">', FIELD, new_token())


@register.filter
def fill_value(fill: Fill) -> Decimal:
    """Return what an execution was worth: quantity times price."""
    return fill.quantity * fill.price
