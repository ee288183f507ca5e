"""`./mem export_model VERSION DIR`: a version as a folder in 2.5's layout."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mlmodels.legacy.export import CannotExport, export
from mlmodels.models import ModelVersion
from mlmodels.registry.artefacts import BadArtefact


class Command(BaseCommand):
    help = (
        "Write a version as a folder in 2.5's layout: reversal_model.joblib, reversal_scaler.joblib if it has a "
        "scaler, config.json and model_metrics.json with its scores on held-out rows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("version", metavar="VERSION", help="its name, YYYYMMDD_HHMMSS")
        parser.add_argument("folder", metavar="DIR", type=Path, help="a new or empty folder")

    def handle(self, *args: object, **options: Any) -> None:
        """Export and name the files."""
        version = ModelVersion.objects.filter(name=options["version"]).first()
        if version is None:
            raise CommandError(f"There is no version {options['version']}. The page Models lists them.")
        try:
            files = export(version, options["folder"].absolute())
        except (CannotExport, BadArtefact) as error:
            raise CommandError(str(error)) from error
        for path in files:
            self.stdout.write(str(path))
