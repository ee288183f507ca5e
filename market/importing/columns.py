"""Columns of unknown types as times and numbers, with a mask of what could not be read. Pure."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# A number with more digits than these is a time in the next finer unit. All four cover the years 1973 to 5138.
SECONDS_BELOW, MILLIS_BELOW, MICROS_BELOW = 10**11, 10**14, 10**17
MICROS = 1_000_000
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
Mask = NDArray[np.bool_]


def to_micros(column: pa.Array) -> tuple[NDArray[np.int64], Mask]:
    """Return times in µs since 1970, and which could not be read (their time is 0).

    Reads seconds, milliseconds, microseconds and nanoseconds since 1970 (value by value: some files change unit
    half way), ISO text (UTC where it names no zone), and the time types of parquet.
    """
    kind = column.type
    if pa.types.is_integer(kind):
        return _scaled(column.cast(pa.int64(), safe=False))
    if pa.types.is_floating(kind):
        numbers = np.nan_to_num(column.cast(pa.float64()).to_numpy(zero_copy_only=False), posinf=0, neginf=0)
        return _scaled(pa.array(np.round(numbers).astype(np.int64)))
    if pa.types.is_temporal(kind):
        return _filled(column.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
    return _from_text(trimmed(column))


def _from_text(texts: pa.Array) -> tuple[NDArray[np.int64], Mask]:
    for kind in (pa.int64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            values = texts.cast(kind)
        except pa.ArrowInvalid:
            continue
        return _scaled(values) if kind == pa.int64() else _filled(values.cast(pa.int64()))
    micros = np.array([_one_time(value) for value in texts.cast(pa.binary()).to_pylist()], dtype=np.int64)
    return micros, micros <= 0


def _one_time(raw: bytes | None) -> int:
    text = (raw or b"").decode("utf-8", "replace")
    if text.replace(".", "", 1).isdecimal() and len(text) < 20:
        return int(_scaled(pa.array([round(float(text))]))[0][0])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return 0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * MICROS)


def _scaled(column: pa.Array) -> tuple[NDArray[np.int64], Mask]:
    numbers, bad = _filled(column)
    units = [numbers < SECONDS_BELOW, numbers < MILLIS_BELOW, numbers < MICROS_BELOW]
    micros = np.select(units, [np.where(units[0], numbers, 0) * MICROS, numbers * 1000, numbers], numbers // 1000)
    return np.where(bad, 0, micros), bad


def _filled(column: pa.Array) -> tuple[NDArray[np.int64], Mask]:
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    return numbers, numbers <= 0


def to_numbers(column: pa.Array) -> tuple[NDArray[np.float64], pa.Array]:
    """Return `column` as floats (NaN where it is no number), and as it can be written without losing digits."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return _floats(column), column
    exact = trimmed(column.cast(pa.string()) if pa.types.is_decimal(column.type) else column)
    try:
        return _floats(exact), exact
    except pa.ArrowInvalid:
        readable = pc.match_substring_regex(exact.cast(pa.binary()), _NUMBER)
        exact = pc.if_else(readable, exact, None)
        return _floats(exact), exact


def _floats(column: pa.Array) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = (
        column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    )
    return floats


def trimmed(column: pa.Array) -> pa.Array:
    """Return texts without blanks and quotes around them, where there are any."""
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    ragged = pc.any(pc.match_substring_regex(column.cast(pa.binary()), r"^[\s\"']|[\s\"']$")).as_py()
    return pc.ascii_trim(column, " \t\r\"'") if ragged else column
