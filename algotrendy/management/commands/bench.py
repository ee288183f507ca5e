"""`./mem bench`: measure the desk against its goals."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from json import dumps
from typing import TextIO, cast

from django.core.management.base import BaseCommand, CommandError

from algotrendy import bench


class Command(BaseCommand):
    """Run a suite of measurements, or list the suites; the exit code is 1 if a goal was missed."""

    help = "Run a benchmark suite (or list them); exits with 1 if a figure misses its goal."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("name", nargs="?", help="the suite; without it the suites are listed")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *, name: str | None, json: bool, **_: object) -> None:
        """Run or list."""
        known = bench.names()
        if name is None:
            self._list(known)
            return
        if name not in known:
            raise CommandError(f"there is no suite {name}; there are: {', '.join(known) or 'none'}")
        show = self._as_json if json else self._as_table
        if not show(bench.figures(name)):
            sys.exit(1)

    def _list(self, known: list[str]) -> None:
        for name in known:
            summary = (bench.load(name).__doc__ or "").strip().partition("\n")[0]
            self.stdout.write(f"{name:<12} {summary}")
        if not known:
            self.stdout.write("There are no suites.")

    def _as_json(self, figures: Iterable[bench.Figure]) -> bool:
        """Write each figure as it comes and return whether all goals were met."""
        good = True
        for figure in figures:
            self.stdout.write(dumps(asdict(figure), ensure_ascii=False))
            self.stdout.flush()
            good = good and figure.holds is not False
        return good

    def _as_table(self, figures: Iterable[bench.Figure]) -> bool:
        """Write a table once all figures are there and return whether all goals were met."""
        from rich.console import Console
        from rich.table import Table

        console = Console(file=cast(TextIO, self.stdout))
        table = Table("figure", "value", "unit", "against", "goal", "", box=None, pad_edge=False)
        good = True
        with console.status("measuring") as status:
            for figure in figures:
                status.update(f"measuring … {figure.name}: {figure.value:,.4g} {figure.unit}")
                mark = {True: "✓", False: "✗", None: ""}[figure.holds]
                value = f"{figure.value:,.4g}" if abs(figure.value) < 10_000 else f"{figure.value:,.0f}"
                table.add_row(figure.name, value, figure.unit, figure.against, figure.goal, mark)
                good = good and figure.holds is not False
        console.print(table)
        return good
