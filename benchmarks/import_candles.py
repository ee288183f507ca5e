"""Importing candles: rows a second from file to table.

The files are those that ALGOTRENDY_CANDLES names (paths, separated by colons), else generated ones: four symbols,
50,000 candles of 5 minutes each, as csv, csv.gz and parquet.
"""

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from algotrendy.bench import Figure
from benchmarks._desk import SYMBOLS, Bench, fresh_desk

LEAST = 50_000
GENERATED = 50_000  # candles per file
FIRST_OPEN = 1_735_689_600_000  # 2025-01-01 in milliseconds
STEP = 300_000

IMPORT = """
import json, sys, time
from market.importing.importer import import_file
from market.importing.names import expand
files, problems = expand({paths})
began, results = time.perf_counter(), [import_file(path) for path in files]
print(json.dumps({{"seconds": time.perf_counter() - began, "read": sum(result.read for result in results),
                   "stored": sum(result.stored for result in results)}}))
"""


def run() -> Iterator[Figure]:
    """Import into a fresh desk, twice: the second time everything is there already."""
    given = [path for path in os.environ.get("ALGOTRENDY_CANDLES", "").split(":") if path]
    with tempfile.TemporaryDirectory(prefix="candles-") as folder, fresh_desk() as bench:
        paths = given or [str(path) for path in generate(Path(folder))]
        what = f"{len(paths)} {'given' if given else 'generated'} files"
        rate, read, stored = measure(bench, paths)
        yield Figure("import_rate", round(rate), "rows/s", f"{what}, {read:,} rows, file to table",
                     f"≥ {LEAST:,}", rate >= LEAST)  # fmt: skip
        yield Figure("import_stored", stored, "rows", f"of {read:,} read", f"= {read}", stored == read)
        rate, read, stored = measure(bench, paths)
        yield Figure("import_again_rate", round(rate), "rows/s", "everything is there already")
        yield Figure("import_again_stored", stored, "rows", "the same files again", "= 0", stored == 0)


def measure(bench: Bench, paths: list[str]) -> tuple[float, int, int]:
    """Import `paths` in one process and return rows a second, rows read, rows stored."""
    printed = bench.desk.manage("shell", "-v", "0", "-c", IMPORT.format(paths=paths))
    result = json.loads(printed.splitlines()[-1])
    return result["read"] / result["seconds"], result["read"], result["stored"]


def generate(folder: Path) -> list[Path]:
    """Write candles of a random walk and return the files."""
    return [
        _write(folder, symbol, kind)
        for symbol, kind in zip(SYMBOLS, ("csv", "csv.gz", "parquet", "csv"), strict=True)
    ]


def _write(folder: Path, symbol: str, kind: str) -> Path:
    path, columns = folder / f"{symbol}_5m.{kind}", _candles(symbol)
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return path
    lines = [",".join(columns)]
    lines += [
        ",".join(map(str, row)) for row in zip(*(column.tolist() for column in columns.values()), strict=True)
    ]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data, 6) if kind == "csv.gz" else data)
    return path


def _candles(symbol: str) -> "dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]":
    random = np.random.default_rng(sum(symbol.encode()))
    close = np.round(1000 * np.exp(np.cumsum(random.normal(0, 0.001, GENERATED))), 2)
    opened = np.concatenate([[1000.0], close[:-1]])
    return {
        "ts": FIRST_OPEN + STEP * np.arange(GENERATED),
        "open": opened,
        "high": np.round(np.maximum(opened, close) * 1.001, 2),
        "low": np.round(np.minimum(opened, close) * 0.999, 2),
        "close": close,
        "volume": np.round(random.gamma(2, 20, GENERATED), 5),
    }
