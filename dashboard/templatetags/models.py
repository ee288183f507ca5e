"""What only the pages of models write: timeframes, shares as lengths of bars, names of tests."""

from typing import Any

from django import template

from dashboard.charts.svg import WIDTH, Axis
from market.bars import timeframe_text

register = template.Library()
SHARE = Axis(0.0, 1.0)


@register.filter
def timeframe(seconds: int) -> str:
    """Write a timeframe: 300 → 5m."""
    return timeframe_text(seconds)


@register.filter
def along(share: float) -> float:
    """Return where a share of one lies on a bar of `WIDTH`."""
    return SHARE.at(share)


@register.filter
def span(interval: dict[str, float]) -> float:
    """Return the length of an interval of shares on a bar of `WIDTH`."""
    return round(min(SHARE.at(interval["high"]) - SHARE.at(interval["low"]), WIDTH), 1)


@register.filter
def whole_percent(share: float) -> int:
    """Write a share in whole percent, rounded down: nothing is done before it is."""
    return int(share * 100)


@register.filter
def humanised(name: str) -> str:
    """Write a name of the code for people: random-walk → Random walk."""
    return name.replace("_", " ").replace("-", " ").capitalize()


@register.filter
def holding(results: list[dict[str, Any]]) -> int:
    """Return how many tests of a proof hold."""
    return sum(1 for row in results if row["ok"])
