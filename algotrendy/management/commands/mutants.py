"""`./mem mutants`: change the code a little, one change at a time, and list what the tests do not notice."""

import importlib.util
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from django.core.management.base import BaseCommand, CommandError

from algotrendy.mutation import cores, plan
from algotrendy.mutation.scratch import scratch_copy

if TYPE_CHECKING:
    from algotrendy.mutation import guards


class Command(BaseCommand):
    """Run the changes of the pure cores, or the removals of the spine; the exit code is 1 below the goal."""

    help = (
        "Change the code a little, one change at a time, and list what the tests do not notice (docs/mutation.md)."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "run", choices=["cores", "guards"], help="the pure cores, or locks and guards of the spine"
        )
        parser.add_argument(
            "names", nargs="*", help="rooms or modules; without them all that docs/mutation.toml has"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *, run: str, names: list[str], json: bool, **_: object) -> None:
        """Run; write each room as it is done."""
        if importlib.util.find_spec("mutmut") is None:
            raise CommandError("this needs the packages of requirements-dev.txt: run `./mem packages test` first")
        try:
            planned = plan.read()
            rooms = plan.chosen(planned.cores if run == "cores" else planned.spine, names)
        except ValueError as error:
            raise CommandError(str(error)) from None
        try:
            with scratch_copy() as copy:
                good = (
                    self._cores(planned, rooms, copy, json)
                    if run == "cores"
                    else self._guards(planned, rooms, copy, json)
                )
        except RuntimeError as error:
            raise CommandError(str(error)) from None
        if not good:
            sys.exit(1)

    def _cores(self, planned: plan.Plan, rooms: Iterable[plan.Room], copy: Path, json: bool) -> bool:
        """Return whether every module reached the goal."""
        scores = [score for room in rooms for score in self._scores(room, planned, copy, json)]
        if not json:
            self._table(
                [_row(score) for score in scores], "module", "changes", "noticed", "survived", "excluded", "%"
            )
        return all(score.percent >= planned.goal for score in scores)

    def _scores(self, room: plan.Room, planned: plan.Plan, copy: Path, json: bool) -> list[cores.Score]:
        scores = cores.run(room, copy, planned.excluded)
        for score in scores:
            if json:
                self._write(dumps(asdict(score) | {"percent": round(score.percent, 1)}, ensure_ascii=False))
                continue
            for _, before, after in score.survivors:
                self._write(f"{score.module} survived\n  - {before}\n  + {after}")
        return scores

    def _guards(self, planned: plan.Plan, rooms: Iterable[plan.Room], copy: Path, json: bool) -> bool:
        """Return whether every removal was noticed."""
        from algotrendy.mutation import guards  # libcst is a package of development

        findings: list[guards.Finding] = []
        for finding in guards.run(rooms, copy, planned.excluded):
            findings.append(finding)
            line = f"{finding.outcome:<9} {finding.kind:<15} {finding.module}:{finding.line}  {finding.text}"
            self._write(dumps(asdict(finding), ensure_ascii=False) if json else line)
        if not json:
            self._table(_rows(findings), "module", "removed", "noticed", "survived", "excluded")
        return all(finding.outcome != "survived" for finding in findings)

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _table(self, rows: Iterable[list[str]], *columns: str) -> None:
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        Console(file=cast(TextIO, self.stdout)).print(table)


def _row(score: cores.Score) -> list[str]:
    counts = (score.mutants, score.killed, len(score.survivors), score.excluded)
    return [score.module, *map(str, counts), f"{score.percent:.1f}"]


def _rows(findings: "list[guards.Finding]") -> list[list[str]]:
    """Return a row for each module: all removals, noticed, survived, excluded."""
    modules = list(dict.fromkeys(finding.module for finding in findings))
    outcomes = {
        module: [finding.outcome for finding in findings if finding.module == module] for module in modules
    }
    return [
        [module, *map(str, (len(of), of.count("noticed"), of.count("survived"), of.count("excluded")))]
        for module, of in outcomes.items()
    ]
