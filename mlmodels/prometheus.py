"""Figures of models for /prometheus: which are active, how good, how long still, and whether training goes on.

Every query is served by an index or bounded by a window: a scrape costs the same on a desk of ten years.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, QuerySet
from django.db.models.fields.json import KT
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from algotrendy.monitoring.prometheus import figures
from mlmodels.inference import monitoring
from mlmodels.models import ModelVersion, Prediction, TrainingRun
from mlmodels.registry import families

State = ModelVersion.State


@figures
def models() -> Iterator[Metric]:
    """Yield all of them."""
    now = timezone.now()
    champions = list(_champions())
    yield from _activity(champions, now)
    yield from _skill(champions)
    yield _newest(champions, now)
    yield from _training(now)


def _champions() -> QuerySet[ModelVersion]:
    rows = ModelVersion.objects.filter(state=State.CHAMPION).order_by("family")
    rows = rows.annotate(held_out=KT("report__holdout__model__skill__value"))
    return rows.only("name", "family", "timeframe", "simulated", "promoted_at", "created_at", "notes")


def _activity(champions: list[ModelVersion], now: datetime) -> Iterator[Metric]:
    text = "1 if a champion speaks for the family, 0 if nobody does."
    active = GaugeMetricFamily("algotrendy_model_speaks", text, labels=["family"])
    age = _gauge("algotrendy_model_champion_age_seconds", "Since the champion was promoted.")
    left = _gauge(
        "algotrendy_model_champion_expires_seconds", "Until the champion stops speaking; negative: over."
    )
    without = {key.slug for key in families.quoted_families()} - {version.family for version in champions}
    for family in sorted(without):
        active.add_metric([family], 0.0)
    for version in champions:
        predicts = now < version.expires_at and not version.load_error
        active.add_metric([version.family], 1.0 if predicts else 0.0)
        age.add_metric([version.family], (now - (version.promoted_at or version.created_at)).total_seconds())
        left.add_metric([version.family], (version.expires_at - now).total_seconds())
    yield from (active, age, left)


def _skill(champions: list[ModelVersion]) -> Iterator[Metric]:
    """Yield the champions' skill; a week without enough evidence has none."""
    text = "1 - log-loss / log-loss of the base rate: on the held-out rows, and live in the last complete week."
    skill = GaugeMetricFamily("algotrendy_model_skill", text, labels=["family", "rows"])
    for version in champions:
        held_out = getattr(version, "held_out", None)
        if held_out is not None:
            skill.add_metric([version.family, "held-out"], float(held_out))
        complete = [week for week in monitoring.weekly(version.pk, weeks=2) if week.complete]
        if complete and complete[-1].skill is not None:
            skill.add_metric([version.family, "last-week"], complete[-1].skill)
    yield skill


def _newest(champions: list[ModelVersion], now: datetime) -> Metric:
    age = _gauge("algotrendy_prediction_age_seconds", "Since the champion's newest prediction was made.")
    for version in champions:
        rows = Prediction.objects.filter(version=version).order_by("-open_time")
        made_at = rows.values_list("made_at", flat=True).first()
        if made_at:
            age.add_metric([version.family], (now - made_at).total_seconds())
    return age


def _training(now: datetime) -> Iterator[Metric]:
    text = "Training runs that wait or run now, by state."
    runs = GaugeMetricFamily("algotrendy_training_runs", text, labels=["state"])
    live = TrainingRun.objects.filter(state__in=TrainingRun.LIVE)
    counted = dict(live.values_list("state").annotate(Count("id")).order_by())
    for state in TrainingRun.LIVE:
        runs.add_metric([state.value], counted.get(state.value, 0))
    yield runs
    last = TrainingRun.objects.filter(finished_at__isnull=False).order_by("-id").first()
    if last and last.finished_at:
        text = "Since the newest finished training run ended."
        age = (now - last.finished_at).total_seconds()
        yield GaugeMetricFamily("algotrendy_training_last_finished_age_seconds", text, value=age)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=["family"])
