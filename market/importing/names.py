"""What files and columns are called in the formats people bring. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from algotrendy.text import plain
from market.bars import parse_timeframe
from market.symbols import QUOTES

TIME_NAMES = (
    "ts", "time", "timestamp", "open_time", "opentime", "open time", "unix", "datetime", "date",
    "__index_level_0__",
)  # fmt: skip
NUMBERS = ("open", "high", "low", "close", "volume")
# What exchanges put into files without a header line: open time, OHLC, volume, then what we don't need.
HEADERLESS = ("time", *NUMBERS)
LEADS_AWAY = "is a link that leads out of the folder; name it by itself if you mean it"
SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".csv.bz2", ".parquet", ".pq")
_NAME = re.compile(
    r"^(?P<symbol>[A-Za-z0-9]+(?:[_-][A-Za-z][A-Za-z0-9]*)*)[_-](?P<timeframe>\d+[smhdwSHDW])(?:[_.-]|$)"
)


class ImportProblem(Exception):
    """A file can't be imported at all; the message says why and what to do.

    It may quote the file, so whatever would steer a terminal is taken out.
    """

    def __init__(self, text: str) -> None:
        super().__init__(plain(text))


@dataclass(frozen=True)
class Series:
    """Which candles a file holds. `timeframe` is in seconds."""

    symbol: str
    timeframe: int


def series_of(path: Path, symbol: str | None, timeframe: str | None) -> Series:
    """Return what `path` holds: as the caller says, else as the file is called (`BTCUSDT_5m_20251019.csv`)."""
    named = _NAME.match(path.name)
    if named:
        symbol = symbol or _symbol(named["symbol"])
        timeframe = timeframe or named["timeframe"]
    if not symbol or not timeframe:
        missing = " and ".join(
            option for option, value in (("--symbol", symbol), ("--timeframe", timeframe)) if not value
        )
        raise ImportProblem(f"the name does not tell (BTCUSDT_5m.csv would): give {missing}")
    try:
        return Series(symbol.upper(), parse_timeframe(timeframe))
    except ValueError as error:
        raise ImportProblem(str(error)) from error


def _symbol(text: str) -> str:
    """Return "BTC_USDT" whole, and of "Binance_BTCUSDT" what follows the exchange."""
    parts = re.split(r"[_-]", text)
    if len(parts) > 1 and parts[-1].upper() in QUOTES:
        return "".join(parts[-2:])
    return parts[-1]


def find_columns(header: Sequence[str]) -> dict[str, int]:
    """Return the place of `time` and each of open, high, low, close, volume in `header`.

    Case and order don't matter. Raises ImportProblem naming what is missing.
    """
    names = [name.strip().strip("\"'").strip().lower() for name in header]
    places = {"time": _first(names, TIME_NAMES)}
    for number in NUMBERS:
        places[number] = _first(names, (number,))
    if places["volume"] < 0:
        places["volume"] = next((place for place, name in enumerate(names) if name.startswith("volume ")), -1)
    missing = [name for name, place in places.items() if place < 0]
    if len(missing) == len(places):  # quoted only once it looks like candles: a file may be anything
        raise ImportProblem(f"none of the columns {', '.join(missing)} is named in its first lines")
    if missing:
        raise ImportProblem(f"column {', '.join(missing)} is missing (found: {', '.join(names)[:200]})")
    return places


def _first(names: Sequence[str], wanted: Sequence[str]) -> int:
    return next((names.index(name) for name in wanted if name in names), -1)


def is_supported(path: Path) -> bool:
    """Tell whether the end of the name is one that can be read."""
    return path.name.lower().endswith(SUFFIXES)


def expand(paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the files that `paths` (files, folders, patterns) mean, and a line for each that means nothing."""
    files: dict[Path, None] = {}
    problems = []
    for text in paths:
        try:
            meant = _expand_one(text)
            inside = [file for file in meant if not _leads_away(file, Path(text).expanduser())]
            files.update(dict.fromkeys(inside))
            problems += [f"{plain(str(file))}: {LEADS_AWAY}" for file in meant if file not in inside]
        except ImportProblem as problem:
            problems.append(f"{plain(text)}: {problem}")
    return list(files), problems


def _leads_away(file: Path, asked: Path) -> bool:
    """Return whether a file of a folder or a pattern is a link to somewhere else; one that is named is meant."""
    if file == asked:
        return False
    folder = asked if asked.is_dir() else file.parent
    return not file.resolve().is_relative_to(folder.resolve())


def _expand_one(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and is_supported(file))
    elif path.exists():
        files = [path]
    elif any(character in text for character in "*?["):
        anchor = Path(path.anchor or ".")
        files = sorted(anchor.glob(str(path.relative_to(path.anchor))))
    else:
        raise ImportProblem("there is no such file")
    if not files:
        raise ImportProblem(f"nothing to import here ({', '.join(SUFFIXES)} can be read)")
    return files
