"""Whole series of candles: which there are, and their numbers as arrays, read as fast as the database can send."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from market.bars import Bars

_KNOWN = """
    WITH RECURSIVE series AS (
        SELECT id, symbol, (SELECT min(timeframe) FROM market_candle WHERE instrument_id = i.id) AS timeframe
        FROM market_instrument i
        UNION ALL
        SELECT id, symbol, (
            SELECT min(timeframe) FROM market_candle c WHERE c.instrument_id = s.id AND c.timeframe > s.timeframe
        ) FROM series s WHERE timeframe IS NOT NULL
    )
    SELECT s.id, s.symbol, s.timeframe, newest.kind, oldest.open_time, newest.open_time
    FROM series s
    CROSS JOIN LATERAL (
        SELECT open_time FROM market_candle WHERE instrument_id = s.id AND timeframe = s.timeframe
        ORDER BY open_time LIMIT 1
    ) AS oldest
    CROSS JOIN LATERAL (
        SELECT open_time, kind FROM market_candle WHERE instrument_id = s.id AND timeframe = s.timeframe
        ORDER BY open_time DESC LIMIT 1
    ) AS newest
    ORDER BY s.symbol, s.timeframe
"""
_COPY = """
    COPY (
        SELECT extract(epoch FROM open_time)::bigint, open::float8, high::float8, low::float8, close::float8,
               volume::float8
        FROM market_candle WHERE instrument_id = {instrument} AND timeframe = {timeframe} AND open_time >= {since}
        ORDER BY open_time
    ) TO STDOUT (FORMAT binary)
"""
# A row for each candle would cost more to receive than to read: each instrument comes as one string of bytes.
_COPY_SPANS = """
    COPY (
        SELECT span.id, packed.bars
        FROM unnest({ids}::bigint[], {firsts}::timestamptz[], {lasts}::timestamptz[]) AS span (id, first, last)
        CROSS JOIN LATERAL (
            SELECT string_agg(
                int8send(extract(epoch FROM open_time)::bigint) || float8send(open::float8) ||
                float8send(high::float8) || float8send(low::float8) || float8send(close::float8) ||
                float8send(volume::float8), ''
            ) AS bars
            FROM (
                SELECT * FROM market_candle
                WHERE instrument_id = span.id AND timeframe = {timeframe}
                  AND open_time BETWEEN span.first AND span.last
                ORDER BY open_time
            ) AS candle
        ) AS packed
    ) TO STDOUT (FORMAT binary)
"""
# PostgreSQL's binary COPY: a header of 19 bytes, rows of the same length as no column is ever null, two bytes.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER, _TRAILER = 19, 2
_FIELDS = ("open_time", "open", "high", "low", "close", "volume")
_ROW = np.dtype(
    [("columns", ">i2")]
    + [
        part
        for name in _FIELDS
        for part in ((f"{name}_size", ">i4"), (name, ">i8" if name == "open_time" else ">f8"))
    ]
)
_PACKED = np.dtype([(name, ">i8" if name == "open_time" else ">f8") for name in _FIELDS])


@dataclass(frozen=True)
class Series:
    """The candles of one instrument in one timeframe (seconds), from the first to the last open time."""

    instrument_id: int
    symbol: str
    timeframe: int
    kind: str
    first: datetime
    last: datetime

    @property
    def bars(self) -> int:
        """How many candles it has at most: gaps are counted."""
        return int((self.last - self.first).total_seconds()) // self.timeframe + 1


def known_series() -> list[Series]:
    """Return every series that has candles, by symbol and timeframe. One query, served by an index."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN)
        return [Series(*row) for row in cursor.fetchall()]


def load_bars(instrument_id: int, timeframe: int, since: datetime | None = None) -> Bars:
    """Return the stored candles of a series from open time `since` on, oldest first. `timeframe` is in seconds."""
    from psycopg import sql

    values = {"instrument": instrument_id, "timeframe": timeframe, "since": since or EARLIEST}
    query = sql.SQL(_COPY).format(**{name: sql.Literal(value) for name, value in values.items()})
    with connection.cursor() as cursor, cursor.copy(query) as stream:
        data = b"".join(bytes(block) for block in stream)
    count = (len(data) - _HEADER - _TRAILER) // _ROW.itemsize
    return _bars(np.frombuffer(data, _ROW, offset=_HEADER, count=count))


def load_spans(spans: Mapping[int, tuple[datetime, datetime]], timeframe: int) -> dict[int, Bars]:
    """Return candles of many instruments at once, oldest first; an instrument without any is left out.

    `spans` has first and last open time by instrument, both included. `timeframe` is in seconds.
    """
    from psycopg import sql

    if not spans:
        return {}
    firsts, lasts = zip(*spans.values(), strict=True)
    values = {"ids": list(spans), "firsts": list(firsts), "lasts": list(lasts), "timeframe": timeframe}
    query = sql.SQL(_COPY_SPANS).format(**{name: sql.Literal(value) for name, value in values.items()})
    with connection.cursor() as cursor, cursor.copy(query) as stream:
        stream.set_types(["int8", "bytea"])
        return {number: _bars(np.frombuffer(packed, _PACKED)) for number, packed in stream.rows() if packed}


def _bars(rows: NDArray[np.void]) -> Bars:
    prices = (rows[name].astype(np.float64) for name in _FIELDS[1:])
    return Bars(rows["open_time"].astype(np.int64), *prices)
