"""What only some pages write: latencies, reasons, bars of evidence."""

from urllib.parse import urlsplit

from django import template
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.formatting import DASH, amount, decimal_of, latency, number, plain
from dashboard.templatetags.desk import pnl
from memory.models import Decision, Outcome
from memory.selectors import known_outcome
from webhooks import addresses

register = template.Library()


register.simple_tag(latency)
for function in (plain, amount, known_outcome):
    register.filter(function)


@register.filter
def signed_points(change: float | None) -> SafeString | str:
    """Write a change of a probability in percentage points with its sign and arrow."""
    if change is None:
        return ""
    shown = round(change * 100, 1)
    css, arrow = ("up", "▲") if shown > 0 else ("down", "▼") if shown < 0 else ("muted", "")
    return format_html('<span class="{}">{} pt {}</span>', css, number(shown, 1, sign=True), arrow)


@register.filter
def amount_pnl(text: str | None) -> SafeString | str:
    """Write a profit or loss that is kept as decimal text in evidence."""
    return pnl(decimal_of(text))


@register.filter
def multiple(value: float | None) -> SafeString | str:
    """Write an R multiple (result over the stop distance): +1.50 R ▲."""
    if value is None:
        return DASH
    css, arrow = ("up", "▲") if value > 0 else ("down", "▼") if value < 0 else ("", "")
    return format_html('<span class="pnl {}">{} R {}</span>', css, number(value, 2, sign=True), arrow)


@register.simple_tag
def r_result(decision: Decision, outcome: Outcome) -> SafeString | str:
    """Write the R multiple of an outcome: won or lost by an entry, avoided or missed by what did not enter."""
    value = outcome.r_multiple
    if value is None or decision.enters:
        return multiple(value)
    # Zero is neither; it keeps the word that promises nothing.
    word = "missed" if value > 0 else "avoided"
    return format_html('<span class="muted nowrap">{} {} R</span>', word, number(value, 2, sign=True))


@register.simple_tag
def named_host(request: HttpRequest) -> bool:
    """Return whether the page was opened by a name rather than an IP address: passkeys are bound to names."""
    host = urlsplit(f"//{request.get_host()}").hostname or ""
    return addresses.parse_address(host) is None
