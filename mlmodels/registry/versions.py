"""The registry: which version is champion, and every change of it: by whom, why, against which, on what rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.history.changes import note
from algotrendy.locks import lock_in_transaction
from mlmodels.models import ModelVersion, Promotion, TrainingRun
from mlmodels.models.registry import MAX_CHAMPION_AGE
from mlmodels.pipeline import gate
from mlmodels.pipeline.report import Verdict
from mlmodels.signals import registry_changed

State = ModelVersion.State
Kind = Promotion.Kind
NAME_FORMAT = "%Y%m%d_%H%M%S"
#: While nobody speaks the gate counts its looks anew each time so much wall time has passed.
SILENCE = timedelta(days=30)
#: Trainings that are asked for because the champion no longer does what it was promoted for.
FALLEN = (TrainingRun.Trigger.SKILL, TrainingRun.Trigger.ARTEFACT)


class CannotPromote(Exception):
    """The change of champion was not made; the text says why."""


@dataclass(frozen=True, slots=True)
class ChampionStatus:
    """The champion of a family, and whether it is active: then `inactive_reason` is empty."""

    champion: ModelVersion | None
    expires_at: datetime | None
    expired: bool
    inactive_reason: str


def champion(family: str) -> ModelVersion | None:
    """Return the champion of a family, expired or not."""
    return ModelVersion.objects.filter(family=family, state=State.CHAMPION).first()


def champion_status(family: str, now: datetime | None = None) -> ChampionStatus:
    """Return the champion of a family at wall time `now`, and why it is not active, if so."""
    current = champion(family)
    if current is None:
        return ChampionStatus(None, None, False, _no_champion_reason(family))
    if (now or timezone.now()) < current.expires_at:
        return ChampionStatus(current, current.expires_at, False, "")
    reason = (
        f"{current.name} is older than {MAX_CHAMPION_AGE.days} days: it no longer speaks. "
        "A retrain finds a new one."
    )
    return ChampionStatus(current, current.expires_at, True, reason)


def _no_champion_reason(family: str) -> str:
    last = ModelVersion.objects.filter(family=family, origin=ModelVersion.Origin.TRAINED).first()
    if last is None:
        return "no model has been trained yet"
    return f"no model has passed the gate: {last.verdict.get('text') or 'the last was not judged'}"


def free_name(wanted: datetime | None = None) -> str:
    """Return a version name that is not taken: UTC now (or `wanted`), or the next free second."""
    at = wanted or timezone.now()
    while ModelVersion.objects.filter(name=at.strftime(NAME_FORMAT)).exists():
        at += timedelta(seconds=1)
    return at.strftime(NAME_FORMAT)


def attempts(family: str, now: datetime | None = None) -> int:
    """Return how often the gate has looked since the count began (without what it could not judge)."""
    looks = _looks(family)
    began = count_began(family, now or timezone.now())
    return looks.filter(created_at__gte=began).count() if began else looks.count()


def count_began(family: str, now: datetime) -> datetime | None:
    """Return since when the gate counts its looks at wall time `now`; None if it has never looked.

    Since the champion changed, expired or fell (its skill, or what is stored of it). While nobody speaks there is
    no champion to protect from luck, only the trivial forecasts: the count begins anew every `SILENCE`, or a desk
    that is silent for long would have to be surer than any evidence can be, and stay silent.
    """
    status = champion_status(family, now)
    promoted = Promotion.objects.filter(family=family).values_list("at", flat=True).first()
    fell = TrainingRun.objects.filter(family=family, trigger__in=FALLEN, created_at__lte=now).order_by(
        "-created_at"
    )
    first = _looks(family).order_by("created_at").values_list("created_at", flat=True).first()
    expired = status.expires_at if status.expired else None
    moments = [
        moment for moment in (promoted, expired, fell.values_list("created_at", flat=True).first()) if moment
    ]
    began = max(moments, default=first)
    if began is None or _speaks(status):
        return began
    return began + (now - began) // SILENCE * SILENCE


def _looks(family: str) -> QuerySet[ModelVersion]:
    return ModelVersion.objects.filter(family=family, verdict__outcome__in=[gate.KEEP, gate.PROMOTE])


def _speaks(status: ChampionStatus) -> bool:
    return status.champion is not None and not status.expired and not status.champion.load_error


@transaction.atomic
def apply_verdict(*, version: ModelVersion, verdict: Verdict, compared_with: ModelVersion | None) -> bool:
    """Apply the gate's verdict to a candidate; return whether it is champion now.

    `compared_with` is the active champion when the training began. If it is another now, nothing is promoted:
    that comparison is of no use.
    """
    lock_in_transaction(f"mlmodels.{version.family}")
    before = champion(version.family)
    announce_family(version.family)
    if verdict["outcome"] != gate.PROMOTE:
        _set(version, State.REJECTED)
        return False
    active = before if before and not champion_status(version.family).expired else None
    if active != compared_with:
        _set(version, State.REJECTED)
        ModelVersion.objects.filter(pk=version.pk).update(
            notes=[*version.notes, "Passed the gate, but the champion changed meanwhile: compare again."]
        )
        return False
    kind = Kind.GATE if before else Kind.FIRST
    _make_champion(version, before, kind, None, verdict["text"], verdict)
    return True


@transaction.atomic
def promote(*, version: ModelVersion, by: User | None, reason: str) -> Promotion:
    """Make a version champion by hand, whatever the gate says. Raises CannotPromote."""
    lock_in_transaction(f"mlmodels.{version.family}")
    # As it is under the family's lock; the row's own keeps its artefact from being deleted meanwhile.
    version = ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
    if not reason.strip():
        raise CannotPromote("a promotion by hand needs a reason")
    if version.state == State.CHAMPION:
        raise CannotPromote(f"{version.name} is champion already")
    _require_artefact(version)
    return _make_champion(version, champion(version.family), Kind.MANUAL, by, reason, version.verdict)


@transaction.atomic
def roll_back(*, family: str, by: User | None, reason: str) -> Promotion:
    """Make the champion before this one champion again. Raises CannotPromote if there is none."""
    lock_in_transaction(f"mlmodels.{family}")
    target = previous_champion(family)
    if target is None:
        raise CannotPromote("there is no earlier champion to go back to")
    _require_artefact(target)
    return _make_champion(target, champion(family), Kind.ROLLBACK, by, reason or "rolled back", target.verdict)


@transaction.atomic
def retire(*, version: ModelVersion, by: User | None, reason: str) -> Promotion:
    """Take the champion out: its family has none then. Raises CannotPromote if it is not champion."""
    lock_in_transaction(f"mlmodels.{version.family}")
    if not ModelVersion.objects.filter(pk=version.pk, state=State.CHAMPION).exists():
        raise CannotPromote(f"{version.name} is not champion")
    _set(version, State.RETIRED)
    announce_family(version.family)
    note(by, version, f"taken out of {version.family}: {reason}", name=version.name)
    return Promotion.objects.create(
        family=version.family, version=version, version_name=version.name, previous=version,
        previous_name=version.name, kind=Kind.RETIRED, by=by, reason=reason.strip()[:500] or "taken out",
    )  # fmt: skip


def previous_champion(family: str) -> ModelVersion | None:
    """Return the version that was champion last before the one that is now, if its row still exists."""
    now = champion(family)
    promotions = Promotion.objects.filter(family=family, version__isnull=False).exclude(kind=Kind.RETIRED)
    if now:
        promotions = promotions.exclude(version=now)
    last = promotions.exclude(version__state=State.REJECTED).select_related("version").first()
    return last.version if last else None


def announce_family(family: str) -> None:
    """Announce, after commit, that a family changed."""
    announce(registry_changed, ModelVersion, family=family)


def _require_artefact(version: ModelVersion) -> None:
    if not hasattr(version, "artefact"):
        raise CannotPromote(f"{version.name} has no stored model: it can't speak")


def _set(version: ModelVersion, state: str) -> None:
    ModelVersion.objects.filter(pk=version.pk).update(state=state)
    version.state = state


def _make_champion(
    version: ModelVersion, before: ModelVersion | None, kind: str, by: User | None, reason: str, verdict: object
) -> Promotion:
    if before:
        _set(before, State.RETIRED)
    version.state, version.promoted_at = State.CHAMPION, timezone.now()
    version.save(update_fields=["state", "promoted_at"])
    announce_family(version.family)
    whom = f" instead of {before.name}" if before else ""
    author = by or ("the gate" if kind in (Kind.GATE, Kind.FIRST) else None)
    note(author, version, f"put in charge of {version.family}{whom}: {reason}", name=version.name)
    return Promotion.objects.create(
        family=version.family, version=version, version_name=version.name, previous=before,
        previous_name=before.name if before else "", kind=kind, by=by, reason=reason.strip()[:500],
        verdict=verdict or {},
    )  # fmt: skip
