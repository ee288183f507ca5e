"""Live skill: what became of a version's predictions, week by week, beside always predicting the base rate.

A week is seven days of movement: in a simulated market that moves faster it is shorter. Every read is bounded by a
number of weeks or rows.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection
from django.db.models import Max
from django.utils import timezone
from numpy.typing import NDArray

from algotrendy.isolation.rows import each
from market.bars import WEEK_OFFSET
from mlmodels.models import ModelVersion, Prediction, TrainingRun
from mlmodels.pipeline import drift as drifting
from mlmodels.pipeline import metrics
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.drift import FeatureDrift
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.metrics import Bootstrap
from mlmodels.pipeline.report import ReliabilityBin
from mlmodels.registry import families
from mlmodels.training import runs

WEEKS = 12
#: Fewer candidates or reversals than this in a week are too few to measure anything.
LEAST_CANDIDATES, LEAST_POSITIVES = 30, 5
RESAMPLES = 400
MOST_RELIABILITY, MOST_DRIFT = 20_000, 5_000  # rows

_BY_BAR = """
    SELECT extract(epoch FROM open_time)::bigint, count(*), count(*) FILTER (WHERE side <> 'none'),
           count(*) FILTER (WHERE side <> 'none' AND label),
           coalesce(sum(-ln(greatest(CASE WHEN label THEN probability ELSE 1 - probability END, %(smallest)s)))
                    FILTER (WHERE side <> 'none'), 0)
    FROM mlmodels_prediction
    WHERE version_id = %(version)s AND open_time >= %(since)s AND label IS NOT NULL
    GROUP BY open_time ORDER BY open_time
"""


@dataclass(frozen=True, slots=True)
class WeekSkill:
    """Labelled predictions of a week that began at `week` (market time).

    `n` counts all, `candidates` those with a move to reverse, `positives` the reversals among them. `log_loss` is
    the model's on candidates, `constant` that of always predicting the base rate it was trained on, both in nats;
    `skill` is 1 − log_loss / constant with its 90 % interval. All five are None where there is too little
    evidence. `complete`: predictions of a later week exist.
    """

    week: datetime
    n: int
    candidates: int
    positives: int
    log_loss: float | None
    constant: float | None
    skill: float | None
    low: float | None
    high: float | None
    complete: bool


@dataclass(frozen=True, slots=True)
class _Bars:
    """Sums over the instruments of each bar."""

    time: NDArray[np.int64]
    n: NDArray[np.int64]
    candidates: NDArray[np.int64]
    positives: NDArray[np.int64]
    loss: NDArray[np.float64]

    def part(self, mask: NDArray[np.bool_]) -> "_Bars":
        return _Bars(self.time[mask], self.n[mask], self.candidates[mask], self.positives[mask], self.loss[mask])


def weekly(version_id: int, weeks: int = WEEKS) -> list[WeekSkill]:
    """Return the last `weeks` weeks of a version's labelled predictions, oldest first. Four queries."""
    version = ModelVersion.objects.defer("report", "verdict", "claimed").get(pk=version_id)
    newest = Prediction.objects.filter(version=version_id).aggregate(at=Max("open_time"))["at"]
    if newest is None:
        return []
    length, offset = week_seconds(version), 0 if version.simulated else WEEK_OFFSET
    current = (int(newest.timestamp()) - offset) // length
    since = datetime.fromtimestamp((current - weeks + 1) * length + offset, UTC)
    bars, rate = _by_bar(version_id, since), base_rate(version_id)
    number = (bars.time - offset) // length
    skills = []
    for week in np.unique(number):
        start = datetime.fromtimestamp(int(week) * length + offset, UTC)
        skills.append(_week(start, bars.part(number == week), version.timeframe, rate, bool(week < current)))
    return skills


def each_week(version: ModelVersion, weeks: Sequence[WeekSkill]) -> list[WeekSkill]:
    """Return `weeks` with those between them in which nothing was predicted: a week is drawn at its time."""
    if not weeks:
        return []
    known, length = {row.week: row for row in weeks}, timedelta(seconds=week_seconds(version))
    count = (weeks[-1].week - weeks[0].week) // length + 1
    starts = [weeks[0].week + length * n for n in range(count)]
    return [known.get(start) or _unmeasured(start) for start in starts]


def week_seconds(version: ModelVersion) -> int:
    """Return the length of a week of the version's market in seconds."""
    return round(7 * Recipe.from_json(version.recipe).bars_per_day) * version.timeframe


def base_rate(version_id: int) -> float | None:
    """Return the share of reversals among the candidates a version was made from; None if it is not known."""
    rows = ModelVersion.objects.filter(pk=version_id)
    rate: float | None = rows.values_list("report__data__candidate_base_rate", flat=True).first()
    return rate if rate is not None and 0 < rate < 1 else None


def _by_bar(version_id: int, since: datetime) -> _Bars:
    values: dict[str, int | float | datetime] = {
        "version": version_id,
        "since": since,
        "smallest": metrics.SMALLEST,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BY_BAR, values)
        rows = cursor.fetchall()
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    time, n, candidates, positives = table[:, :4].T.astype(np.int64)
    return _Bars(time, n, candidates, positives, table[:, 4])


def _week(start: datetime, bars: _Bars, timeframe: int, rate: float | None, complete: bool) -> WeekSkill:
    n, candidates, positives = (int(column.sum()) for column in (bars.n, bars.candidates, bars.positives))
    if rate is None or candidates < LEAST_CANDIDATES or positives < LEAST_POSITIVES:
        return _unmeasured(start, n, candidates, positives, complete)
    constant = -(bars.positives * math.log(rate) + (bars.candidates - bars.positives) * math.log(1 - rate))
    boot = Bootstrap(bars.time // timeframe, seed=0, resamples=RESAMPLES)
    floor = np.maximum(boot.means(constant), metrics.SMALLEST)  # a resample may hold no candidate at all
    value = 1 - float(bars.loss.sum() / constant.sum())
    interval = metrics.interval(value, 1 - boot.means(bars.loss) / floor)
    return WeekSkill(
        start, n, candidates, positives, float(bars.loss.sum()) / candidates, float(constant.sum()) / candidates,
        value, interval["low"], interval["high"], complete,
    )  # fmt: skip


def _unmeasured(
    start: datetime, n: int = 0, candidates: int = 0, positives: int = 0, complete: bool = True
) -> WeekSkill:
    return WeekSkill(start, n, candidates, positives, None, None, None, None, None, complete)


def reliability_live(version_id: int) -> list[ReliabilityBin]:
    """Return predicted and observed rates of the newest candidates. One query."""
    candidates = Prediction.objects.filter(version=version_id, label__isnull=False).exclude(side="none")
    rows = list(candidates.order_by("-open_time").values_list("label", "probability")[:MOST_RELIABILITY])
    if len(rows) < LEAST_CANDIDATES:
        return []
    outcome, probability = zip(*rows, strict=True)
    return metrics.reliability(np.array(outcome, np.int8), np.array(probability))


def drift(version: ModelVersion) -> list[FeatureDrift]:
    """Return how far the features of the last week's candidates lie from the training's, the largest first.

    Empty where the version has no reference (imported), or too few candidates. Two queries at most.
    """
    schema, reference = SCHEMAS.get(version.schema), version.report.get("deciles")
    candidates = Prediction.objects.filter(version=version, schema_hash=version.schema_hash).exclude(side="none")
    newest = candidates.aggregate(at=Max("open_time"))["at"] if schema and reference else None
    if schema is None or newest is None:
        return []
    recent = candidates.filter(open_time__gt=newest - timedelta(seconds=week_seconds(version)))
    rows = list(recent.order_by("-open_time").values_list("features", flat=True)[:MOST_DRIFT])
    return drifting.compare(reference, schema.features, np.array(rows))


def degradation_reason(version: ModelVersion) -> str:
    """Return why a champion should be trained anew early; empty while its skill holds.

    Its skill fell when it is below zero in the last complete week, or below half of what it was promoted with in
    the last two. Weeks with too few candidates are no evidence.
    """
    known = [week for week in weekly(version.pk, weeks=4) if week.complete]
    skills = [week.skill for week in known[-2:]]
    if not skills or skills[-1] is None:
        return ""
    if skills[-1] < 0:
        return f"its skill was {skills[-1]:.2f} in the week from {known[-1].week:%Y-%m-%d %H:%M}: below zero"
    promised = promised_skill(version)
    low = [skill for skill in skills if skill is not None and promised and skill < promised / 2]
    if len(low) == 2:
        return f"its skill was {low[0]:.2f} and {low[1]:.2f} in the last two weeks, below half of {promised:.2f}"
    return ""


def promised_skill(version: ModelVersion) -> float | None:
    """Return the skill on the held-out rows that a version was judged by."""
    held_out = (version.report.get("holdout") or {}).get("model") or {}
    skill = held_out.get("skill")
    return float(skill["value"]) if skill else None


def retrain_degraded() -> int:
    """Request a training of each family whose champion's skill fell, at most once a week of its market."""
    champions = ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION)
    return sum(each("mlmodels.watch_skill", champions, _retrain_if_degraded, complete=True))


def _retrain_if_degraded(version: ModelVersion) -> bool:
    reason = degradation_reason(version)
    return bool(reason) and _request_retrain(version, reason)


def _request_retrain(version: ModelVersion, reason: str) -> bool:
    week_ago = timezone.now() - timedelta(seconds=week_seconds(version))
    requested = TrainingRun.objects.filter(
        family=version.family, trigger=runs.Trigger.SKILL, created_at__gt=week_ago
    )
    if requested.exists():
        return False
    with suppress(runs.AlreadyWaiting):
        run = runs.request(family_key=families.of_version(version), trigger=runs.Trigger.SKILL)
        runs.write(run.pk, f"{version.name}: {reason}")
        return True
    return False
