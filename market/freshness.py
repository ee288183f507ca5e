"""How old the last candle of a feed may be, and a text about it. Pure: a feed's row is read, never queried."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from market.models import Feed, MarketKind

SHORTEST_PATIENCE = 15.0  # seconds
INTERVALS_OF_PATIENCE = 3
DEFAULT_REPLAY_SPEED = 300.0


@dataclass(frozen=True)
class FeedFreshness:
    """Whether a feed's prices can be relied on. Ages are wall time in seconds."""

    feed: "Feed"
    kind: "MarketKind"
    age_seconds: float | None
    expected_seconds: float
    stale: bool
    text: str


def replay_speed(settings: object) -> float:
    """Return how many times as fast as the clock a feed with these settings replays.

    The default where they say nothing that is a speed: a page or an alert must not fail because of them.
    """
    return speed_of(settings, DEFAULT_REPLAY_SPEED)


def speed_of(settings: object, default: float) -> float:
    """Return the speed that settings name, or the default where they name none."""
    wanted = settings.get("speed") if isinstance(settings, dict) else None
    return float(wanted) if is_speed(wanted) else default


def is_speed(value: object) -> TypeGuard[float | str]:
    """Return whether a value of a setting can be a speed: a number above 0, as one or as text."""
    try:
        return isinstance(value, int | float | str) and 0 < float(value) < math.inf
    except (OverflowError, ValueError):
        return False


def expected_seconds(feed: "Feed") -> float:
    """Return the wall time between two candles of a healthy feed."""
    if feed.is_replay:
        return feed.timeframe / replay_speed(feed.settings)
    return float(feed.timeframe)


def freshness(feed: "Feed", now: datetime) -> FeedFreshness:
    """Return the freshness of `feed` at wall time `now`: stale after three intervals, 15 s at least."""
    expected = expected_seconds(feed)
    patience = max(SHORTEST_PATIENCE, INTERVALS_OF_PATIENCE * expected)
    age = (now - feed.last_candle_at).total_seconds() if feed.last_candle_at else None
    waited = age if age is not None else (now - feed.created_at).total_seconds()
    stale = not feed.enabled or waited > patience
    return FeedFreshness(feed, feed.kind, age, expected, stale, _text(feed, now, age, stale))


def _text(feed: "Feed", now: datetime, age: float | None, stale: bool) -> str:
    last = "no candle yet" if age is None else f"last candle {duration(age)} ago"
    if not feed.enabled:
        return f"{feed.progress.get('note') or 'switched off'}, {last}"
    if not stale:
        return "waiting for the first candle" if age is None else last
    return f"{last if age is None else f'no candle for {duration(age)}'}{_reason(feed, now)}"


def _reason(feed: "Feed", now: datetime) -> str:
    beat = feed.heartbeat_at
    if beat is None or (now - beat).total_seconds() > SHORTEST_PATIENCE:
        return ": the feed process is not running"
    return f": {feed.last_error}" if feed.last_error else ""


def duration(seconds: float) -> str:
    """Return "42 s", "3 min", "5 h" or "2 d"."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
