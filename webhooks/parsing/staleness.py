"""Whether an alert is too old to open a position, or of an age that can't be known. Pure.

An alert is old if it waited too long here, or if its own time lies too far back. Its own time may be that of the
world or that of a market which is shown again (a replay has a clock of its own, running `speed` times as fast):
whichever of the two it is fresh by counts.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhooks.parsing.alert import ParsedAlert

FUTURE = timedelta(seconds=60)
BAR_WITHOUT_LENGTH = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock an alert's time may be by: its time now, how fast it runs, and in which steps."""

    now: datetime
    speed: float = 1.0
    step: timedelta = timedelta(0)


def stale_reason(alert: ParsedAlert, received_at: datetime, clocks: list[Clock], limit: timedelta) -> str:
    """Return why `alert` may not open anything, or "". The first clock is the wall's.

    A time more than a minute ahead of every clock is as good as none: the sender's clock or ours is wrong, and how
    old the alert is can't be known. What closes a position is honoured all the same, as for one that is too old.
    """
    wall = clocks[0]
    waited = wall.now - received_at
    if waited > limit:
        return f"the alert waited {_span(waited)} here; the limit is {_span(limit)}"
    earliest, latest = sent_between(alert)
    if earliest is None or latest is None:
        return ""
    if all(earliest > clock.now + FUTURE * max(clock.speed, 1) + clock.step for clock in clocks):
        return _ahead(earliest, clocks)
    if any(clock.now - latest <= limit * max(clock.speed, 1) + clock.step for clock in clocks):
        return ""
    return f"the alert is from {_time(latest)}, {_span(wall.now - latest)} ago; the limit is {_span(limit)}"


def _ahead(sent: datetime, clocks: list[Clock]) -> str:
    wall = clocks[0].now
    markets = "".join(f" and {_time(clock.now)} in the market" for clock in clocks[1:] if clock.now != wall)
    return (
        f"the alert's time {_time(sent)} lies {_span(sent - wall)} ahead of this desk's clock, which says "
        f"{_time(wall)}{markets}: how old it is can't be known, so it opens nothing. Check the clock of this "
        "machine and the time that the sender writes"
    )


def sent_between(alert: ParsedAlert) -> tuple[datetime | None, datetime | None]:
    """Return the earliest and the latest time at which an alert can have been sent, by its own times.

    The time of firing is exact. An alert that only has its bar's open was sent until the bar closed; without the
    bar's length it may have been a daily one.
    """
    if alert.timenow:
        return alert.timenow, alert.timenow
    if alert.bar_time is None:
        return None, None
    length = timedelta(seconds=alert.interval) if alert.interval else BAR_WITHOUT_LENGTH
    return alert.bar_time, min(alert.bar_time, _LATEST - length) + length


_LATEST = datetime.fromisoformat("9990-01-01T00:00:00+00:00")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(length: timedelta) -> str:
    seconds = length.total_seconds()
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
