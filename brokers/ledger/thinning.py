"""Fewer marks of equity the older they are, with the same lows, highs, drawdowns and starts of days.

Of each stretch of time five marks are kept at most: the last, which the next day starts from, the highest, the
lowest, and the two between which equity fell most. So the worst fall between any two stretches, or inside one,
stays what it was.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from algotrendy.database import sql
from algotrendy.retention import nightly
from algotrendy.retention.nightly import Progress
from brokers.models import Connection, EquityMark

DAY = timedelta(days=1)
#: Longer than a mark, due every ten seconds, is late on a busy machine or while the desk is restarted.
UNTHINNED = timedelta(minutes=1)


class Stage(NamedTuple):
    """Marks older than `days` are thinned to stretches of `width`; 0 days: never."""

    name: str
    days: int
    width: timedelta


_THIN = """
    WITH marks AS (
        SELECT id, at, equity, date_bin(%(width)s, at, 'epoch'::timestamptz) AS stretch
        FROM brokers_equitymark WHERE connection_id = %(connection)s AND at >= %(start)s AND at < %(end)s
    ), falls AS (
        SELECT *, max(equity) OVER (PARTITION BY stretch ORDER BY at) AS peak FROM marks
    ), deepest AS (
        SELECT DISTINCT ON (stretch) id, at, stretch, peak FROM falls ORDER BY stretch, peak - equity DESC, at
    ), kept AS (
        (SELECT DISTINCT ON (stretch) id FROM marks ORDER BY stretch, at DESC)
        UNION (SELECT DISTINCT ON (stretch) id FROM marks ORDER BY stretch, equity DESC, at)
        UNION (SELECT DISTINCT ON (stretch) id FROM marks ORDER BY stretch, equity, at)
        UNION SELECT id FROM deepest
        UNION (SELECT DISTINCT ON (stretch) marks.id FROM marks JOIN deepest USING (stretch)
               WHERE marks.at <= deepest.at AND marks.equity = deepest.peak ORDER BY stretch, marks.at DESC)
        UNION SELECT id FROM marks WHERE at = date_bin('1 day', at, 'epoch'::timestamptz)
    )
    DELETE FROM brokers_equitymark WHERE id IN (SELECT id FROM marks EXCEPT SELECT id FROM kept)
"""


def stages() -> tuple[Stage, ...]:
    """Return how marks are thinned, finest first."""
    return (
        Stage("five minutes", settings.KEEP_EQUITY_MARKS, timedelta(minutes=5)),
        Stage("an hour", settings.KEEP_FIVE_MINUTE_EQUITY, timedelta(hours=1)),
    )


def usual_spacing(at: datetime, now: datetime) -> float:
    """Return the seconds that two marks around `at` lie apart at most while the desk runs, seen from `now`."""
    # Of each stretch its last mark is kept, so two may be nearly two stretches apart.
    reached = [2 * stage.width for stage in stages() if stage.days and at < now - timedelta(days=stage.days)]
    return max([UNTHINNED, *reached]).total_seconds()


def thin_next_day(progress: Progress) -> int | None:
    """Thin one day of one connection; return how many marks went, None when all that is old is thinned."""
    for stage in stages():
        for connection_id in Connection.objects.order_by("id").values_list("id", flat=True):
            key = f"{connection_id} to {stage.name}"
            day = _next_day(connection_id, progress.get(key), nightly.before(stage.days))
            if day is not None:
                progress[key] = (day + DAY).isoformat()
                return _thin(connection_id, day, stage.width)
    return None


def _next_day(connection_id: int, after: str | None, cutoff: datetime | None) -> datetime | None:
    """Return the next day (00:00 UTC) that has marks and is old as a whole, None if there is none."""
    if cutoff is None:
        return None
    rows = EquityMark.objects.filter(connection=connection_id)
    if after:
        rows = rows.filter(at__gte=datetime.fromisoformat(after))
    first = rows.order_by("at").values_list("at", flat=True).first()
    if first is None:
        return None
    day = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if day + DAY <= cutoff else None


def _thin(connection_id: int, day: datetime, width: timedelta) -> int:
    values = {"connection": connection_id, "start": day, "end": day + DAY, "width": width}
    return sql.change_named(_THIN, values)
