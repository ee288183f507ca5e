"""Old models that nobody can go back to, and old predictions of those that speak no more. The rows stay."""

from datetime import datetime

from django.conf import settings

from algotrendy.retention import nightly
from algotrendy.retention.nightly import Progress
from mlmodels.models import Artefact, ModelVersion, Prediction
from mlmodels.registry import versions

State = ModelVersion.State
ARTEFACTS_AT_ONCE, PREDICTIONS_AT_ONCE = 20, 5000


def delete_artefacts(progress: Progress) -> int | None:
    """Delete the bytes of some versions that the gate rejected long ago; None when there are no more.

    A champion, one that was champion, a candidate and an imported model keep theirs. The version's row, report and
    verdict stay, with a note.
    """
    cutoff = nightly.before(settings.KEEP_REJECTED_MODELS)
    if cutoff is None:
        return None
    rows = ModelVersion.objects.filter(state=State.REJECTED, created_at__lt=cutoff, artefact__isnull=False)
    never_champion = rows.filter(promotions=None, successions=None).order_by("id")
    some = list(never_champion.select_for_update(of=("self",), skip_locked=True)[:ARTEFACTS_AT_ONCE])
    for version in some:
        Artefact.objects.filter(version=version).delete()
        _note(version, f"Artefact deleted after {settings.KEEP_REJECTED_MODELS} days: it can't be promoted.")
    for family in {version.family for version in some}:
        versions.announce_family(family)
    return len(some) or None


def delete_predictions(progress: Progress) -> int | None:
    """Delete some old predictions of versions that are not champion; None when there are no more."""
    cutoff = nightly.before(settings.KEEP_PREDICTIONS)
    if cutoff is None:
        return None
    for version in ModelVersion.objects.exclude(state=State.CHAMPION).order_by("id"):
        count = _delete_of(version, cutoff)
        if count:
            return count
    return None


def _delete_of(version: ModelVersion, cutoff: datetime) -> int:
    old = Prediction.objects.filter(version=version, open_time__lt=cutoff).order_by("open_time")
    ids = list(old.values_list("pk", flat=True)[:PREDICTIONS_AT_ONCE])
    if ids:
        _note(version, f"Predictions deleted after {settings.KEEP_PREDICTIONS} days: older weeks are not shown.")
    return Prediction.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _note(version: ModelVersion, text: str) -> None:
    row = ModelVersion.objects.select_for_update(no_key=True).only("notes").get(pk=version.pk)
    if text not in row.notes:
        ModelVersion.objects.filter(pk=version.pk).update(notes=[*row.notes, text])
