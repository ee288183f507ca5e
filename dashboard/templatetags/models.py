"""What only the pages of models write: timeframes, shares as lengths of bars, names of tests."""

from django import template

from dashboard.charts.svg import WIDTH, Axis
from dashboard.formatting import humanised, whole_percent
from market.bars import timeframe_text

register = template.Library()
SHARE = Axis(0.0, 1.0)


register.filter("timeframe", timeframe_text)
for function in (whole_percent, humanised):
    register.filter(function)


@register.filter
def along(share: float) -> float:
    """Return where a share of one lies on a bar of `WIDTH`."""
    return SHARE.at(share)


@register.filter
def span(interval: dict[str, float]) -> float:
    """Return the length of an interval of shares on a bar of `WIDTH`."""
    return round(min(SHARE.at(interval["high"]) - SHARE.at(interval["low"]), WIDTH), 1)


@register.filter
def holding(results: list[dict[str, object]]) -> int:
    """Return how many tests of a proof hold."""
    return sum(1 for row in results if row["ok"])
