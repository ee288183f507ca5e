"""Importing a model folder of 2.5: read, convert, score, and keep as an archived version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import transaction

from algotrendy.locks import lock_in_transaction
from market.bars import Bars
from mlmodels.legacy import folder as folders
from mlmodels.legacy import sandbox_client, scoring
from mlmodels.legacy.folder import Folder
from mlmodels.legacy.sandbox_client import Converted
from mlmodels.legacy.scoring import Scored
from mlmodels.models import ModelVersion
from mlmodels.pipeline import estimators
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.feature_schemas import Recognised, recognise
from mlmodels.registry import artefacts, families, versions
from mlmodels.registry.families import FamilyKey
from mlmodels.training import job

TIMEFRAME = 300  # seconds: all models of 2.5 are for 5m candles


@dataclass(frozen=True)
class Imported:
    """The version, and whether it had been imported before."""

    version: ModelVersion
    again: bool


def import_folder(path: Path, *, series: Mapping[str, Bars] | None = None) -> Imported:
    """Keep the model in a folder as an archived version, scored on real candles (of `series`, if given).

    A folder that was imported before is returned, not stored twice. Raises BadFolder or RefusedFile, with nothing
    stored.
    """
    folder = folders.read(path)
    if known := _known(folder):
        return Imported(known, True)
    converted = sandbox_client.convert(folder.files, folder.features)
    recognised = recognise(folder.features)
    key = FamilyKey(TIMEFRAME, False, folder.label)
    recipe = _recipe(folder, converted, recognised, key)
    scored = _score(converted, recognised, recipe, job.candles(key, recipe) if series is None else series)
    with transaction.atomic():
        lock_in_transaction("mlmodels.import")
        if known := _known(folder):
            return Imported(known, True)
        return Imported(_keep(folder, converted, recognised, key, recipe, scored), False)


def _known(folder: Folder) -> ModelVersion | None:
    imported = ModelVersion.objects.filter(origin=ModelVersion.Origin.IMPORTED)
    return imported.filter(claimed__digest=folder.digest).first()


def _recipe(folder: Folder, converted: Converted, recognised: Recognised, key: FamilyKey) -> Recipe:
    return Recipe(
        schema=recognised.name,
        label=folder.label,
        estimator=converted.estimator,
        parameters=folder.parameters,
        bars_per_day=families.bars_per_day(key),
    )


def _score(converted: Converted, recognised: Recognised, recipe: Recipe, series: Mapping[str, Bars]) -> Scored:
    if recognised.schema is None:
        return Scored(None, ("Not scored on candles of this desk.",))
    return scoring.score(
        lambda rows: estimators.probability(converted.model, rows), recognised.schema, recipe, series, TIMEFRAME
    )


def _keep(
    folder: Folder, converted: Converted, recognised: Recognised, key: FamilyKey, recipe: Recipe, scored: Scored
) -> ModelVersion:
    holdout = scored.report.get("holdout") if scored.report else None
    version = ModelVersion.objects.create(
        name=versions.free_name(_made_at(folder.name)),
        family=key.slug,
        timeframe=key.timeframe,
        simulated=False,
        state=ModelVersion.State.ARCHIVED,
        origin=ModelVersion.Origin.IMPORTED,
        schema=recognised.name,
        schema_hash=recognised.hash,
        recipe=recipe.as_json(),
        threshold=holdout["model"]["threshold"] if holdout else None,
        report=scored.report or {},
        claimed=folder.claimed
        | {"digest": folder.digest, "folder": folder.name, "features": list(folder.features)},
        notes=[recognised.text, *_about_versions(converted), *folder.notes, *scored.notes],
    )
    artefacts.keep(version, converted.packed)
    versions.announce_family(version.family)
    return version


def _made_at(name: str) -> datetime | None:
    """Return the time in a folder's name, if it has one."""
    if not folders.NAME.fullmatch(name):
        return None
    try:
        return datetime.strptime(name, versions.NAME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _about_versions(converted: Converted) -> list[str]:
    ours = artefacts.libraries()["scikit-learn"]
    others = [version for version in converted.versions if version != ours]
    if not others:
        return []
    return [f"Made by scikit-learn {', '.join(others)} and read by {ours}: its probabilities may differ slightly."]
