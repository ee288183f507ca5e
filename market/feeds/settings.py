"""What the settings of a feed may be, in words: for the form that takes them and for the driver that uses them."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from market.freshness import is_speed
from market.models import Feed

MOST_HISTORY = 200_000  # candles, all of them in memory at once


class Rule(NamedTuple):
    """What the setting `name` has to fit, and the end of the sentence that says so."""

    name: str
    fits: Callable[[object], bool]
    words: str


def problems(driver: str, settings: object) -> list[str]:
    """Return a sentence for each setting that a feed with this driver can't use. Others it does not look at."""
    if not isinstance(settings, dict):
        return ['Write names with values, such as {} or {"speed": 300}.']
    rules = (rule for rule in RULES[driver] if rule.name in settings)
    return [f'"{rule.name}" is {rule.words}.' for rule in rules if not rule.fits(settings[rule.name])]


def require_usable(feed: Feed) -> None:
    """Raise ValueError, with every problem in it, if the feed can't use its settings."""
    if wrong := problems(feed.driver, feed.settings):
        raise ValueError(" ".join(wrong))


def _number(value: object) -> float:
    """Return the number that a value is, or is the text of; NaN, which fits nothing, for all else."""
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except (OverflowError, ValueError):
        return math.nan


def _within(least: float, most: float = math.inf) -> Callable[[object], bool]:
    return lambda value: least <= _number(value) <= most and math.isfinite(_number(value))


def _whole(least: float, most: float) -> Callable[[object], bool]:
    return lambda value: least <= _number(value) <= most and _is_whole(value)


def _is_whole(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().removeprefix("-").isdecimal()
    return isinstance(value, int | float) and _number(value).is_integer()


def _is_switch(value: object) -> bool:
    return value in (True, False)


def _is_moment(value: object) -> bool:
    try:
        return value is None or bool(datetime.fromisoformat(str(value)))
    except ValueError:
        return False


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_address(value: object) -> bool:
    return isinstance(value, str) and (not value or value.startswith(("http://", "https://")))


def _are_markets(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str | None) for name in value.values())


_SPEED = Rule("speed", is_speed, "a number above 0")
RULES: Mapping[str, tuple[Rule, ...]] = {
    Feed.Driver.SIMULATOR: (
        Rule("seed", _whole(-1e18, 1e18), "a whole number"),
        _SPEED,
        Rule("regimes", _is_switch, "true or false"),
        Rule("history", _whole(-MOST_HISTORY, MOST_HISTORY), f"a whole number, at most {MOST_HISTORY} candles"),
    ),
    Feed.Driver.REPLAY: (
        _SPEED,
        Rule("start", _is_moment, 'a time such as "2025-03-01 00:00"'),
        Rule("loop", _is_switch, "true or false"),
    ),
    Feed.Driver.LIVE: (
        Rule("exchange", _is_name, 'the name of an exchange, such as "binance"'),
        Rule("symbols", _are_markets, 'the names of the venue by symbol, such as {"BTCUSDT": "BTC/USDT"}'),
        Rule("poll", _within(1), "a number of seconds, at least 1"),
        Rule("delay", _within(0), "a number of seconds, 0 or more"),
        Rule("backfill", _whole(1, MOST_HISTORY), f"a whole number from 1 to {MOST_HISTORY} candles"),
        Rule("url", _is_address, 'an address that begins with "http://" or "https://"'),
    ),
}
