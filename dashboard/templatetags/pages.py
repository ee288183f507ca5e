"""What only some pages write: latencies, reasons, bars of evidence."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from django import template
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.templatetags.desk import DASH, pnl, write
from webhooks import addresses

register = template.Library()


@register.simple_tag
def latency(start: datetime | None, end: datetime | None) -> str:
    """Write the time between two moments: 42 ms, 1.3 s, 75 s."""
    if start is None or end is None:
        return DASH
    seconds = (end - start).total_seconds()
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


@register.filter
def signed_points(change: float | None) -> SafeString | str:
    """Write a change of a probability in percentage points with its sign and arrow."""
    if change is None:
        return ""
    shown = round(change * 100, 1)
    css, arrow = ("up", "▲") if shown > 0 else ("down", "▼") if shown < 0 else ("muted", "")
    return format_html('<span class="{}">{} pt {}</span>', css, write(shown, 1, sign=True), arrow)


def _decimal(text: str | None) -> Decimal | None:
    try:
        return Decimal(text or "")
    except InvalidOperation:
        return None


@register.filter
def plain(text: str | float | None) -> str:
    """Write a number of the evidence without its trailing zeros; other text as it is."""
    value = _decimal(str(text))
    if value is None or not value.is_finite():
        return str(text)
    return f"{value.normalize():f}" if value else "0"


@register.filter
def amount(text: str | None) -> str:
    """Write an amount that is kept as decimal text in evidence."""
    value = _decimal(text)
    return DASH if value is None else write(value, 2)


@register.filter
def amount_pnl(text: str | None) -> SafeString | str:
    """Write a profit or loss that is kept as decimal text in evidence."""
    return pnl(_decimal(text))


@register.filter
def multiple(value: float | None) -> SafeString | str:
    """Write an R multiple (result over the stop distance): +1.50 R ▲."""
    if value is None:
        return DASH
    css, arrow = ("up", "▲") if value > 0 else ("down", "▼") if value < 0 else ("", "")
    return format_html('<span class="pnl {}">{} R {}</span>', css, write(value, 2, sign=True), arrow)


@register.simple_tag
def named_host(request: HttpRequest) -> bool:
    """Return whether the page was opened by a name rather than an IP address: passkeys are bound to names."""
    host = urlsplit(f"//{request.get_host()}").hostname or ""
    return addresses.parse_address(host) is None
