"""Labelling: each prediction gets the label of its bar, once the bars after it are known.

A label is written once. It is computed from candles up to the market time that the instrument has reached, so a
replay does not reveal its own future.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection

from market.bars import Bars
from market.series import load_spans
from mlmodels.pipeline import labels
from mlmodels.registry.families import FamilyKey

#: Bars after a label should be known that late candles are waited for.
GRACE_BARS = 12
#: Predictions, and bars of each instrument, that one sweep takes on.
MOST_LEFT, MOST_BARS = 2000, 2000

_WAITING = """
    SELECT prediction.id, prediction.instrument_id, prediction.open_time
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS span (instrument_id, first, last)
    JOIN mlmodels_prediction prediction ON prediction.instrument_id = span.instrument_id
     AND prediction.timeframe = %s AND prediction.open_time BETWEEN span.first AND span.last
     AND prediction.label IS NULL AND NOT prediction.void
    JOIN mlmodels_modelversion version ON version.id = prediction.version_id AND version.family = %s
"""
_LEFT = """
    SELECT prediction.id, prediction.instrument_id, prediction.open_time, quote.market_time, quote.moved
    FROM (
        SELECT *, timeframe <> %(timeframe)s OR (kind = 'simulated') <> %(simulated)s AS moved FROM market_quote
    ) AS quote
    JOIN mlmodels_prediction prediction ON prediction.instrument_id = quote.instrument_id
     AND prediction.timeframe = %(timeframe)s AND prediction.label IS NULL AND NOT prediction.void
    JOIN mlmodels_modelversion version ON version.id = prediction.version_id AND version.family = %(family)s
    WHERE quote.moved OR prediction.open_time < quote.market_time - make_interval(secs => %(known_after)s)
    ORDER BY prediction.open_time LIMIT %(most)s
"""
_LABEL = """
    UPDATE mlmodels_prediction prediction SET label = known.label, labelled_at = now()
    FROM unnest(%s::bigint[], %s::boolean[]) AS known (id, label)
    WHERE prediction.id = known.id AND prediction.label IS NULL AND NOT prediction.void
"""
_VOID = """
    UPDATE mlmodels_prediction SET void = true, labelled_at = now()
    WHERE id = ANY(%s) AND label IS NULL AND NOT void
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A prediction without a label: its id and the open time of its bar."""

    id: int
    open_time: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """One that should have been labelled by the time its market has reached; `moved`: it has left that market."""

    id: int
    instrument_id: int
    open_time: datetime
    market_time: datetime
    moved: bool


def label_predictions(key: FamilyKey, bars: Mapping[int, Bars]) -> int:
    """Label the predictions of a family whose labels are known from `bars` (by instrument); return how many."""
    spans = {one: span for one, series in bars.items() if (span := _knowable(key, series))}
    if not spans:
        return 0
    firsts, lasts = zip(*spans.values(), strict=True)
    waiting: dict[int, list[Waiting]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [list(spans), list(firsts), list(lasts), key.timeframe, key.slug])
        for pk, instrument_id, open_time in cursor.fetchall():
            waiting[instrument_id].append(Waiting(pk, open_time))
    known = {pk: value for one, rows in waiting.items() for pk, value in _labels(key, bars[one], rows).items()}
    return _write(known)


def _knowable(key: FamilyKey, bars: Bars) -> tuple[datetime, datetime] | None:
    """Return the first and last open time whose label may be known from `bars`."""
    first, last = known_before(key), len(bars) - 1 - key.label.window
    return (_moment(bars, first), _moment(bars, last)) if first <= last else None


def known_before(key: FamilyKey) -> int:
    """Return how many bars before a bar its label depends on."""
    return key.label.look_back if key.label.kind == "scaled" else key.label.window


def _moment(bars: Bars, number: int) -> datetime:
    return datetime.fromtimestamp(int(bars.open_time[number]), UTC)


def _labels(key: FamilyKey, bars: Bars, rows: Sequence[Waiting]) -> dict[int, bool]:
    """Return the label by id of those predictions whose label is known."""
    reversal = labels.label(bars, key.timeframe, key.label).reversal
    seconds = np.array([int(row.open_time.timestamp()) for row in rows])
    place = np.minimum(np.searchsorted(bars.open_time, seconds), len(bars) - 1)
    values = np.where(bars.open_time[place] == seconds, reversal[place], labels.UNKNOWN)
    return {
        row.id: bool(value == labels.REVERSAL)
        for row, value in zip(rows, values, strict=True)
        if value != labels.UNKNOWN
    }


def sweep(key: FamilyKey) -> int:
    """Label what the closing candles did not, and void what can't be known any more; return how many ended."""
    left = _left(key)
    size = timedelta(seconds=key.timeframe)
    bars = load_spans(_spans(key, left), key.timeframe)
    known: dict[int, bool] = {}
    for one, rows in _by_instrument(left).items():
        if one in bars:
            known |= _labels(key, bars[one], [Waiting(row.id, row.open_time) for row in rows if not row.moved])
    patience = size * (key.label.window + 1 + GRACE_BARS)
    lost = [row for row in left if row.id not in known and row.market_time > row.open_time + patience]
    return _write(known) + _void([row.id for row in lost] + [row.id for row in left if row.moved])


def _left(key: FamilyKey) -> list[Left]:
    values: dict[str, int | str] = {
        "timeframe": key.timeframe,
        "simulated": key.simulated,
        "family": key.slug,
        "known_after": key.timeframe * (key.label.window + 2),
        "most": MOST_LEFT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, values)
        return [Left(*row) for row in cursor.fetchall()]


def _by_instrument(left: Iterable[Left]) -> dict[int, list[Left]]:
    by_instrument: dict[int, list[Left]] = defaultdict(list)
    for row in left:
        by_instrument[row.instrument_id].append(row)
    return by_instrument


def _spans(key: FamilyKey, left: list[Left]) -> dict[int, tuple[datetime, datetime]]:
    """Return which candles the labels of `left` depend on, known by the market time of each instrument."""
    size = timedelta(seconds=key.timeframe)
    before, after = size * known_before(key), size * key.label.window
    return {
        one: (
            rows[0].open_time - before,
            min(rows[0].open_time + size * MOST_BARS, rows[-1].open_time + after, rows[0].market_time - size),
        )
        for one, rows in _by_instrument(left).items()
    }


def _write(known: Mapping[int, bool]) -> int:
    ids = sorted(known)  # two workers that lock the same rows take them in the same order
    return _update(_LABEL, [ids, [known[pk] for pk in ids]]) if ids else 0


def _void(ids: list[int]) -> int:
    return _update(_VOID, [ids]) if ids else 0


def _update(query: str, values: list[list[int] | list[bool]]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return int(cursor.rowcount)
