"""Files as chunks of columns with their line numbers. Knows formats, nothing of what a good candle is."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from market.importing.names import HEADERLESS, NUMBERS, ImportProblem, find_columns, is_supported

ROWS_AT_ONCE = 65_536
BYTES_AT_ONCE = 4 << 20
MOST_TORN = 100_000  # lines; a file with more is none of candles, and each is kept in memory
HEADER_LINES = 5  # some exchanges put an address or a remark above the names
COLUMNS = ("time", *NUMBERS)


@dataclass(frozen=True)
class Chunk:
    """Rows of a file: line numbers (rows count from 1 in parquet) and the six columns as the file has them."""

    lines: NDArray[np.int64]
    columns: dict[str, pa.Array]


@dataclass
class Source:
    """An open file. `torn` gets (line, reason) of lines that can't even be split into columns."""

    chunks: Iterator[Chunk]
    size: int
    done: Callable[[], int]
    torn: list[tuple[int, str]] = field(default_factory=list)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open `path` for reading in chunks; progress is `done()` of `size`. Raises ImportProblem."""
    if not is_supported(path):
        raise ImportProblem(f"unknown format {path.suffix or path.name!r} (csv, csv.gz and parquet can be read)")
    source: Source | None = None
    try:
        if path.stat().st_size == 0:
            raise ImportProblem("the file is empty")
        with contextlib.ExitStack() as stack:
            reader = _parquet if path.suffix.lower() in (".parquet", ".pq") else _csv
            source = reader(path, stack)
            yield source
    except (pa.ArrowException, OSError, EOFError) as error:
        if source is not None and len(source.torn) == MOST_TORN:
            many = f"more than {MOST_TORN:,} lines can't be split into columns: it is no file of candles"
            raise ImportProblem(many) from None
        raise ImportProblem(f"can't be read: {str(error).splitlines()[0] if str(error) else error!r}") from error


def _parquet(path: Path, stack: contextlib.ExitStack) -> Source:
    file = stack.enter_context(pa.parquet.ParquetFile(path))
    names = file.schema_arrow.names
    places = find_columns(names)
    source = Source(iter(()), file.metadata.num_rows, lambda: 0)
    if source.size == 0:
        raise ImportProblem("the file has no rows")

    def chunks() -> Iterator[Chunk]:
        row = 0
        source.done = lambda: row
        wanted = [names[places[column]] for column in COLUMNS]
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
            lines = np.arange(row + 1, row + 1 + batch.num_rows)
            row += batch.num_rows
            yield Chunk(lines, {column: batch[name] for column, name in zip(COLUMNS, wanted, strict=True)})

    source.chunks = chunks()
    return source


def _csv(path: Path, stack: contextlib.ExitStack) -> Source:
    header = _header(path)
    raw = stack.enter_context(pa.OSFile(str(path)))
    stream = stack.enter_context(pa.CompressedInputStream(raw, kind)) if (kind := _compression(path)) else raw
    source = Source(iter(()), path.stat().st_size, lambda: int(raw.tell()))
    source.chunks = _csv_chunks(source, stream, header)
    return source


@dataclass(frozen=True)
class _Header:
    skip: int
    width: int
    delimiter: str
    places: dict[str, int]


def _header(path: Path) -> _Header:
    """Find the line with the names among the first few; a file that begins with a number has none."""
    with pa.input_stream(str(path), compression=_compression(path) or None) as stream:
        top = bytes(stream.read(64 << 10)).decode("utf-8-sig", "replace").splitlines()[:HEADER_LINES]
    problem = ImportProblem("the file is empty")
    for number, line in enumerate(top):
        if not line.strip():
            continue
        delimiter = max(",;\t|", key=line.count)
        names = line.split(delimiter)
        if number == 0 and len(names) >= len(HEADERLESS) and names[0].strip(" \"'").isdecimal():
            return _Header(0, len(names), delimiter, {name: place for place, name in enumerate(HEADERLESS)})
        try:
            return _Header(number + 1, len(names), delimiter, find_columns(names))
        except ImportProblem as error:
            problem = error if problem.args[0] == "the file is empty" else problem
    raise problem


def _csv_chunks(source: Source, stream: pa.NativeFile, header: _Header) -> Iterator[Chunk]:
    """Everything is read as text: what is no number is then reported with its line and its neighbours survive."""
    names = [str(place) for place in range(header.width)]
    wanted = [str(header.places[column]) for column in COLUMNS]

    def torn(row: pa.csv.InvalidRow) -> str:
        if len(source.torn) == MOST_TORN:
            return "error"
        source.torn.append((row.number, f"has {row.actual_columns} columns instead of {row.expected_columns}"))
        return "skip"

    reader = pa.csv.open_csv(
        stream,
        pa.csv.ReadOptions(
            use_threads=False, block_size=BYTES_AT_ONCE, skip_rows=header.skip, column_names=names
        ),
        # Quotes are trimmed later: here a stray one would swallow the lines after it.
        pa.csv.ParseOptions(
            delimiter=header.delimiter, quote_char=False, ignore_empty_lines=False, invalid_row_handler=torn
        ),
        pa.csv.ConvertOptions(
            check_utf8=False, include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
        ),
    )  # fmt: skip
    line, place = header.skip + 1, 0  # of the next row, and of the next torn line
    for batch in reader:
        lines, line, place = _line_numbers(line, batch.num_rows, source.torn, place)
        filled = np.flatnonzero(~_empty(batch))
        kept = batch if len(filled) == batch.num_rows else batch.take(pa.array(filled))
        yield Chunk(lines[filled], {column: kept[place] for place, column in enumerate(COLUMNS)})


def _line_numbers(
    line: int, count: int, torn: list[tuple[int, str]], place: int
) -> tuple[NDArray[np.int64], int, int]:
    """Return the lines of `count` good rows from `line` on, the line after, and how many torn ones are behind.

    Torn lines come in order and lie between the good ones; those before `place` lie before `line`.
    """
    between = np.array([number for number, _ in torn[place:]], dtype=np.int64)
    # As many torn lines precede a row as there are whose distance to the one at `place` is within its own.
    before = np.searchsorted(between - np.arange(len(between)), np.arange(line, line + count), side="right")
    numbers = np.arange(line, line + count) + before
    passed = int(before[-1]) if count else 0
    return numbers, (int(numbers[-1]) + 1 if count else line), place + passed


def _empty(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Tell which rows are blank lines."""
    empty = np.ones(batch.num_rows, dtype=bool)
    for column in batch.columns:
        empty &= pc.equal(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return empty


def _compression(path: Path) -> str:
    return {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}.get(path.suffix.lower(), "")
