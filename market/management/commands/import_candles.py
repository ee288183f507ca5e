"""`./mem import_candles PATH…`: candles from csv, csv.gz and parquet files into the table."""

import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from algotrendy.text import plain
from market.bars import timeframe_text
from market.importing.importer import Imported, import_file
from market.importing.names import expand


class Command(BaseCommand):
    help = (
        "Import candles from files, folders or patterns: csv (also .gz, .zst, .bz2) and parquet. Columns: ts,"
        " time, timestamp, open_time or date; open, high, low, close, volume. "
        "BTCUSDT_5m.csv tells symbol and timeframe."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options."""
        parser.add_argument("paths", nargs="+", metavar="PATH")
        parser.add_argument("--symbol", help="symbol of all files, where their names don't tell")
        parser.add_argument("--timeframe", help="5m, 1h, 1d: of all files, where their names don't tell")

    def handle(self, *, paths: list[str], symbol: str | None, timeframe: str | None, **_: object) -> None:
        """Import each file; fail if nothing at all could be imported."""
        files, problems = expand(paths)
        results = self._import(files, symbol, timeframe)
        for problem in problems:
            self.stderr.write(problem)
        for result in results:
            self._explain(result)
        if results:
            self.stdout.write(_rendered(_table(results)))
        if not any(result.good for result in results):
            raise CommandError("Nothing was imported.")

    def _import(self, files: list[Path], symbol: str | None, timeframe: str | None) -> list[Imported]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            results = []
            for path in files:
                task = bar.add_task(plain(path.name), total=None)
                progress = partial(_show, bar, task)
                result = import_file(path, symbol=symbol, timeframe=timeframe, progress=progress)
                bar.update(task, completed=1, total=1)
                results.append(result)
        return results

    def _explain(self, result: Imported) -> None:
        """Write to stderr why a file, or which of its lines, did not go in."""
        path = plain(str(result.path))
        if result.problem:
            self.stderr.write(f"{path}: {result.problem}")
        for line, reason in result.bad.first:
            self.stderr.write(f"{path}:{line}: {reason}")
        if result.bad.count > len(result.bad.first):
            self.stderr.write(f"{path}: … and {result.bad.count - len(result.bad.first)} more bad lines")
        if result.bad.report:
            which = "The first of the" if result.bad.unlisted else "All"
            self.stderr.write(f"{which} bad lines are listed in {plain(str(result.bad.report))}")


def _show(bar: Progress, task: TaskID, done: int, size: int) -> None:
    bar.update(task, completed=done, total=size)


def _rendered(table: Table) -> str:
    """Return the table as text: as wide as the terminal, or as it needs where there is none."""
    console = Console() if sys.stdout.isatty() else Console(width=160, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _table(results: list[Imported]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("File", "Symbol", "Timeframe"):
        table.add_column(name, overflow="fold")
    for name in ("Read", "Stored", "Already there", "Bad", "Gaps", "Refilled", "Rows/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        series = result.series
        numbers = (
            result.read,
            result.stored,
            result.already_there,
            result.bad.count,
            result.gaps,
            result.refilled,
        )
        table.add_row(
            Text(plain(result.path.name)),
            series.symbol if series else "?",
            timeframe_text(series.timeframe) if series else "?",
            *(f"{number:,}" for number in numbers),
            f"{result.read / result.seconds:,.0f}",
        )
    if len(results) > 1:
        table.add_section()
        _add_total(table, results)
    return table


def _add_total(table: Table, results: list[Imported]) -> None:
    rows = [
        (r.read, r.stored, r.already_there, r.bad.count, r.gaps, r.refilled) for r in results
    ]  # fmt: skip
    seconds = sum(result.seconds for result in results)
    sums = [sum(column) for column in zip(*rows, strict=True)]
    table.add_row("Total", "", "", *(f"{number:,}" for number in sums), f"{sums[0] / seconds:,.0f}")
