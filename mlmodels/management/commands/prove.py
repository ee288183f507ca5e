"""`./mem prove`: show on your own candles that the pipeline does not fool anybody."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from market.bars import parse_timeframe
from mlmodels.models import ProofRun
from mlmodels.pipeline.report import ProofResult


class Command(BaseCommand):
    """Run the honesty suite; the exit code is 1 if a test does not hold."""

    help = (
        "Run the honesty suite on the desk's candles: seven experiments that a pipeline which fools itself fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--simulated", action="store_true", help="on the simulated market; no candles needed")
        parser.add_argument("--timeframe", help="5m, 1h …: of the candles (those of which there are most)")
        parser.add_argument("--quick", action="store_true", help="few trials: a first look, no evidence")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: Any) -> None:
        """Prove, print, and fail if something does not hold."""
        from mlmodels import proof_runs  # with it comes scikit-learn
        from mlmodels.proof import suite

        trials = suite.QUICK if options["quick"] else suite.FULL
        subject = proof_runs.subject(simulated=options["simulated"], timeframe=_timeframe(options["timeframe"]))
        with _bar() as bar:
            task = bar.add_task("begin", total=1.0)
            bar.console.print(f"on {subject.text}", highlight=False)

            def show(name: str, share: float, results: list[ProofResult]) -> None:
                bar.update(task, completed=share, description=name)

            try:
                run = proof_runs.prove(subject, trials, show)
            except proof_runs.AlreadyRunning as error:
                raise CommandError(str(error)) from error
        self._print_result(run, as_json=options["json"])
        if run.state != ProofRun.State.PASSED:
            sys.exit(1)

    def _print_result(self, run: ProofRun, *, as_json: bool) -> None:
        if as_json:
            summary = {"proof": run.pk, "state": run.state, "subject": run.subject, "quick": run.quick}
            summary |= {"evidence": run.is_evidence}
            self.stdout.write(json.dumps(summary | {"results": run.results}, ensure_ascii=False))
            return
        console = Console() if sys.stdout.isatty() else Console(width=140, color_system=None)
        with console.capture() as captured:
            console.print(_table(run), highlight=False)
            console.print(f"{run.words}.", highlight=False)
            if run.quick:
                console.print("Leave out --quick for evidence.", highlight=False)
        self.stdout.write(captured.get())


def _timeframe(text: str | None) -> int | None:
    try:
        return parse_timeframe(text) if text else None
    except ValueError as error:
        raise CommandError(str(error)) from error


def _bar() -> Progress:
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=140)
    return Progress(*columns, console=console, transient=True)


def _table(run: ProofRun) -> Table:
    table = Table(title=run.subject, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Test", no_wrap=True)
    table.add_column("Claim")
    table.add_column("Found")
    table.add_column("Holds", no_wrap=True)
    holds = "– not refuted" if run.quick else "✓ yes"
    for result in run.results:
        finding = "\n".join([result["found"], *result.get("detail", [])])
        table.add_row(result["name"], result["claim"], finding, holds if result["ok"] else "✗ no")
    return table
