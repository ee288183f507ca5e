"""`./mem retrain`: train a challenger now, with a bar, and print the gate's verdict."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from market.bars import parse_timeframe
from mlmodels.models import TrainingRun
from mlmodels.pipeline import estimators
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.labels import PROFILES
from mlmodels.pipeline.progress import Step
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey
from mlmodels.training import runs
from mlmodels.training.report_text import tables


class Command(BaseCommand):
    """Train in this process. The gate decides whether the version is promoted; the champion is safe meanwhile."""

    help = "Train a model on the desk's candles and have the gate judge it. Ctrl-C stops it, with nothing changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--timeframe", help="5m, 1h …: of the candles (those of which there are most)")
        parser.add_argument(
            "--simulated", action="store_true", help="the simulated market instead of real candles"
        )
        parser.add_argument(
            "--label", choices=sorted(PROFILES), default="default", help="what counts as a reversal"
        )
        parser.add_argument("--estimator", choices=estimators.NAMES, default="HistGradientBoosting")
        parser.add_argument("--schema", choices=sorted(SCHEMAS), default=Recipe.schema, help="which features")
        parser.add_argument("--symbols", default="", help="BTCUSDT,ETHUSDT: learn from these only")
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument("--days", type=int, default=365, help="of history, the newest")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: Any) -> None:
        """Train, print the report; exit with 1 if nothing came of it."""
        key = _family(options)
        recipe = families.recipe_of(
            key, estimator=options["estimator"], schema=options["schema"], seed=options["seed"],
            history_days=options["days"], symbols=_symbols(options["symbols"]),
        )  # fmt: skip
        try:
            with runs.training_turn(on_wait=self._print_notice):
                runs.settle_dead()
                run = self._train(runs.begin(family_key=key, trigger=runs.Trigger.MANUAL, recipe=recipe))
        except KeyboardInterrupt:
            raise CommandError("stopped; the champion was not touched") from None
        self._print_result(run, as_json=options["json"])

    def _print_notice(self) -> None:
        self.stderr.write("Another training runs (see the page Models). This one begins when it has ended.")

    def _train(self, run: TrainingRun) -> TrainingRun:
        from mlmodels.training import job  # with it comes scikit-learn

        columns = (TextColumn("{task.description:<13}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        console = Console(stderr=True) if sys.stderr.isatty() else Console(stderr=True, width=140)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("load", total=1.0)

            def show(step: Step, share: float, text: str) -> None:
                bar.update(task, completed=share, description=str(step))
                if text:
                    bar.console.print(f"  {text}", highlight=False)

            try:
                return job.execute(run, show)
            except KeyboardInterrupt:
                runs.end(run.pk, runs.State.CANCELED)
                raise

    def _print_result(self, run: TrainingRun, *, as_json: bool) -> None:
        if run.state != runs.State.SUCCEEDED or run.version is None:
            raise CommandError(run.error or "the training was stopped; the champion was not touched")
        version = run.version
        if as_json:
            result = {
                "version": version.name,
                "state": version.state,
                "verdict": version.verdict,
                "report": version.report,
            }
            self.stdout.write(json.dumps(result))
            return
        console = Console() if sys.stdout.isatty() else Console(width=140, color_system=None)
        with console.capture() as captured:
            for table in tables(version):
                console.print(table)
        self.stdout.write(captured.get())


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(name.strip().upper() for name in text.split(",") if name.strip())


def _family(options: dict[str, Any]) -> FamilyKey:
    """Return the family to train for. Raises CommandError if there are no such candles."""
    try:
        wanted = parse_timeframe(options["timeframe"]) if options["timeframe"] else None
    except ValueError as error:
        raise CommandError(str(error)) from error
    label = PROFILES[options["label"]]
    timeframe = families.most_candles(simulated=options["simulated"], timeframe=wanted)
    if timeframe is None:
        kind = "simulated" if options["simulated"] else "real"
        raise CommandError(f"there are no such {kind} candles: ./mem import_candles FILE…, or --simulated")
    return FamilyKey(timeframe, options["simulated"], label)
