"""From checked rows into the table: COPY into a staging table, then one INSERT that skips what is there."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.csv
from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import Copy

from market.importing.checking import Checked
from market.importing.names import NUMBERS
from market.models import MarketKind

# Typed like the table, so that numbers are parsed and rounded once.
_STAGING = """
    CREATE TEMPORARY TABLE market_staging (
        seconds bigint, open numeric(28, 10), high numeric(28, 10), low numeric(28, 10), close numeric(28, 10),
        volume numeric(32, 10)
    ) ON COMMIT DROP
"""
_COPY = "COPY market_staging FROM STDIN (FORMAT csv)"
_INSERT = """
    INSERT INTO market_candle
        (instrument_id, timeframe, open_time, open, high, low, close, volume, kind, revision)
    SELECT %s, %s, to_timestamp(seconds), open, high, low, close, volume, %s, 0 FROM market_staging
    ON CONFLICT (instrument_id, timeframe, open_time) DO NOTHING
"""
_OPTIONS = pa.csv.WriteOptions(include_header=False, quoting_style="none")


class Staging:
    """A staging table of the running transaction."""

    def __init__(self, cursor: CursorWrapper) -> None:
        self.cursor = cursor
        cursor.execute(_STAGING)

    @contextmanager
    def copying(self) -> Iterator[Copy]:
        """Open the stream that rows are written to; nothing else can be asked of the connection meanwhile."""
        with self.cursor.copy(_COPY) as stream:
            yield stream

    def move(self, instrument_id: int, timeframe: int, kind: MarketKind) -> int:
        """Insert what is not there yet as candles of `timeframe` seconds and return how many that were."""
        self.cursor.execute(_INSERT, [instrument_id, timeframe, kind.value])
        return int(self.cursor.rowcount)


@contextmanager
def staging() -> Iterator[Staging]:
    """Open a staging table, dropped at the end; runs in the caller's transaction."""
    with connection.cursor() as cursor:
        yield Staging(cursor)
        cursor.execute("DROP TABLE market_staging")


def to_csv(rows: Checked) -> memoryview:
    """Return rows as csv for COPY: floats as the shortest text that means the same, text as it was in the file."""
    arrays = [pa.array(rows.seconds), *(rows.exact[name] for name in NUMBERS)]
    batch = pa.RecordBatch.from_arrays(arrays, names=["seconds", *NUMBERS])
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(batch, sink, _OPTIONS)
    return memoryview(sink.getvalue())
