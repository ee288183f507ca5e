"""`./mem import_model DIR`: a model folder of 2.5 as an archived version, scored on candles of this desk."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mlmodels.legacy.errors import BadFolder
from mlmodels.legacy.services import import_folder
from mlmodels.models import ModelVersion

SHOWN = ("accuracy", "precision", "recall", "f1")


class Command(BaseCommand):
    help = (
        "Import the folder of a 2.5 model (reversal_model.joblib, its scaler, config.json, metrics). Its files "
        "are read in a process of their own and never run. It is archived, its scores are marked as claimed, and "
        "it is scored on the candles of this desk beside them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the argument."""
        parser.add_argument("folder", metavar="DIR", type=Path, help="such as 20251020_215713, or `latest`")

    def handle(self, *args: object, **options: Any) -> None:
        """Import and print what came of it."""
        try:
            imported = import_folder(options["folder"])
        except (BadFolder, OSError) as error:
            raise CommandError(str(error)) from error
        version = imported.version
        if imported.again:
            self.stdout.write(f"This model was imported before, as {version.name}: nothing was changed.")
            return
        self.stdout.write(f"Imported as {version.name}, archived: it does not speak unless you promote it.")
        for line in (_claimed(version), _scored(version), *version.notes):
            self.stdout.write(line)


def _claimed(version: ModelVersion) -> str:
    claims = ", ".join(f"{key} {version.claimed[key]:.4f}" for key in SHOWN if key in version.claimed)
    return f"Claimed by its folder, not by us: {claims or 'nothing'}."


def _scored(version: ModelVersion) -> str:
    holdout = version.report.get("holdout")
    if not holdout:
        return "Found on our candles: nothing, it was not scored."
    own, constant, all_rows = holdout["model"], holdout["constant"], holdout["all_rows"]
    return (
        f"Found on our candles, {holdout['period']['days']:g} days, {all_rows['rows']:,} rows: accuracy "
        f"{all_rows['accuracy']:.4f} (always saying no: {all_rows['accuracy_of_never']:.4f}), precision "
        f"{_share(all_rows['precision'])}, recall {_share(all_rows['recall'])}, F1 {_share(all_rows['f1'])}. On "
        f"the {own['rows']:,} candidates: log-loss {own['log_loss']['value']:.4f} (the constant forecast: "
        f"{constant['log_loss']['value']:.4f}), PR-AUC {own['pr_auc']['value']:.3f} (base rate "
        f"{own['base_rate']:.3f})."
    )


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
