"""Gap rows kept equal to the holes that there really are between stored candles."""

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from market.models import Candle, Gap

_HOLES = """
    SELECT open_time + %(size)s::interval, next FROM (
        SELECT open_time, lead(open_time) OVER (ORDER BY open_time) AS next FROM market_candle
        WHERE instrument_id = %(instrument)s AND timeframe = %(timeframe)s
          AND open_time BETWEEN %(first)s AND %(last)s
    ) AS pairs WHERE next > open_time + %(size)s::interval
"""
_RECORD = f"""
    INSERT INTO market_gap AS old (instrument_id, timeframe, first_missing, next_present, state, discovered_at)
    SELECT %(instrument)s, %(timeframe)s, hole.*, %(state)s, now() FROM ({_HOLES}) AS hole
    ON CONFLICT (instrument_id, timeframe, first_missing) DO UPDATE
    SET next_present = excluded.next_present,
        state = CASE WHEN old.state = 'exchange' THEN old.state ELSE excluded.state END
    WHERE old.next_present <> excluded.next_present OR old.state NOT IN (excluded.state, 'exchange')
"""  # noqa: S608 - composed of constants
_CLOSE = f"""
    UPDATE market_gap SET state = 'refilled'
    WHERE instrument_id = %(instrument)s AND timeframe = %(timeframe)s AND state <> 'refilled'
      AND first_missing BETWEEN %(first)s AND %(last)s
      AND first_missing NOT IN (SELECT hole.first FROM ({_HOLES}) AS hole (first, next))
"""  # noqa: S608 - composed of constants


class Holes(NamedTuple):
    """What a comparison of Gap rows with the candles changed."""

    recorded: int
    refilled: int


def reconcile_gaps(
    *,
    instrument_id: int,
    timeframe: int,
    first: datetime,
    last: datetime,
    state: Gap.State = Gap.State.OPEN,
    beyond: bool = False,
) -> Holes:
    """Record the holes between the candles of `first` and `last` (open times), and close gaps that were filled.

    New holes get `state`; one that the exchange is known not to have stays so. With `beyond` the comparison
    reaches to the neighbouring candles outside. `timeframe` is in seconds. Runs in the caller's transaction.
    """
    if beyond:
        first, last = _with_neighbours(instrument_id, timeframe, first, last)
    values: dict[str, int | str | datetime] = {
        "instrument": instrument_id,
        "timeframe": timeframe,
        "size": f"{timeframe} seconds",
        "first": first,
        "last": last,
        "state": state.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, values)
        recorded = cursor.rowcount
        cursor.execute(_CLOSE, values)
        return Holes(recorded, cursor.rowcount)


def _with_neighbours(
    instrument_id: int, timeframe: int, first: datetime, last: datetime
) -> tuple[datetime, datetime]:
    series = Candle.objects.filter(instrument_id=instrument_id, timeframe=timeframe)
    times = series.values_list("open_time", flat=True)
    before = times.filter(open_time__lt=first).order_by("-open_time").first()
    after = times.filter(open_time__gt=last).order_by("open_time").first()
    return before or first, after or last
