"""Champions as scorers. One that can't be loaded any more gets a note of it, and a new one is trained, once."""

from contextlib import suppress

from django.db import transaction

from mlmodels.models import ModelVersion
from mlmodels.models.registry import LOAD_ERROR
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.scoring import Scorer
from mlmodels.registry import artefacts, families, versions
from mlmodels.registry.artefacts import BadArtefact, IncompatibleArtefact
from mlmodels.registry.families import FamilyKey
from mlmodels.training import runs


def champion_scorer(key: FamilyKey) -> tuple[ModelVersion, Scorer] | None:
    """Return the champion of a family and its scorer, if it is active and can be loaded.

    If it can't be loaded, the version gets a note of it and a new training is requested, the first time.
    """
    status = versions.champion_status(key.slug)
    if status.champion is None or status.expired:
        return None
    try:
        scorer = scorer_of(status.champion)
    except BadArtefact as error:
        _note_load_error(status.champion, str(error))
        return None
    if status.champion.load_error:
        _clear_load_error(status.champion)
    return status.champion, scorer


def scorer_of(version: ModelVersion) -> Scorer:
    """Return the scorer of a version. Raises BadArtefact."""
    schema = SCHEMAS.get(version.schema)
    if schema is None or schema.hash != version.schema_hash:
        raise IncompatibleArtefact(
            f"It was trained on the features {version.schema} as they were defined then, and this desk defines "
            "them differently. No other model is touched. Train a new one (./mem retrain)."
        )
    rule = Recipe.from_json(version.recipe).label
    return Scorer(artefacts.load(version), schema, rule, version.timeframe)


@transaction.atomic
def _note_load_error(version: ModelVersion, reason: str) -> None:
    """Note on a version why it can't be loaded and request a training, unless that was done before."""
    row = ModelVersion.objects.select_for_update().only("notes").get(pk=version.pk)
    if row.load_error:
        return
    ModelVersion.objects.filter(pk=version.pk).update(notes=[*row.notes, LOAD_ERROR + reason])
    with suppress(runs.AlreadyWaiting):
        runs.request(family_key=families.of_version(version), trigger=runs.Trigger.ARTEFACT)
    versions.announce_family(version.family)


@transaction.atomic
def _clear_load_error(version: ModelVersion) -> None:
    row = ModelVersion.objects.select_for_update().only("notes").get(pk=version.pk)
    kept = [note for note in row.notes if not note.startswith(LOAD_ERROR)]
    ModelVersion.objects.filter(pk=version.pk).update(notes=kept)
    versions.announce_family(version.family)
