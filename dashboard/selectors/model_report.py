"""The report of one version as tables and plots: what it was made of, how it did, and how it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.db.models.functions import Length

from dashboard.charts import plots, svg
from dashboard.formatting import DASH, number, percent
from mlmodels.inference import monitoring
from mlmodels.models import Artefact, ModelVersion
from mlmodels.pipeline import gate
from mlmodels.pipeline.report import Check, Fold, Holdout, Interval, Report, Scores, Verdict

MOST_LABELS = 7
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of the comparison: its name, what it means, whether less is better, and how it is written."""

    key: str
    name: str
    text: str
    places: int
    share: bool = False


METRICS = (
    Metric("log_loss", "Log-loss", "nats; less is better", 4),
    Metric("skill", "Skill", "share of the constant forecast's log-loss that is saved", 1, share=True),
    Metric("pr_auc", "PR-AUC", "guessing gives the base rate", 3),
    Metric("brier", "Brier score", "less is better", 4),
    Metric("ece", "Calibration error", "ECE; less is better", 4),
    Metric("precision", "Precision", "of what it calls a reversal", 1, share=True),
    Metric("recall", "Recall", "of all reversals", 1, share=True),
    Metric("f1", "F1", "of the two above", 3),
    Metric("accuracy", "Accuracy", "says little where reversals are rare", 1, share=True),
    Metric("accuracy_of_never", "Accuracy of always saying “no”", "for comparison", 1, share=True),
    Metric("base_rate", "Base rate", "how often it is a reversal", 2, share=True),
)
CHECKS = {
    "positives": "Reversals enough",
    "days": "Unseen days enough",
    "constant": "Beats the constant forecast",
    "left_move": "Beats the left move alone",
    "champion": "Beats the champion",
    "pr_auc": "Ranks no worse",
    "brier": "Brier score no worse",
    "ece": "Calibrated no worse",
}
CLAIMS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "f1_score": "f1",
    "pr_auc": "pr_auc",
    "average_precision": "pr_auc",
}
SCORES = tuple(dict.fromkeys(CLAIMS.values()))
#: Kept with the claims to know the folder again; shown elsewhere, or of no use to a reader.
NO_CLAIMS = ("digest", "features", "folder")


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure with its interval, both written out."""

    text: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A forecast that is compared: what it is, and on how many rows."""

    title: str
    note: str
    scores: Scores


def columns(holdout: Holdout) -> list[Column]:
    """Return the forecasts in the order of the table: ours, whom it had to beat, and ours on every row."""
    columns = [Column("This model", "on candidates", holdout["model"])]
    if holdout["champion"]:
        columns.append(Column(holdout["champion_name"] or "Champion", "champion then", holdout["champion"]))
    columns += [
        Column("Left move alone", "trivial baseline", holdout["left_move"]),
        Column("Constant", "always the base rate", holdout["constant"]),
        Column("This model", "on every row", holdout["all_rows"]),
    ]
    return columns


def table(columns: Sequence[Column]) -> list[Row]:
    """Return one row for each metric with a cell for each column."""
    return [{"metric": metric, "cells": [cell(metric, column.scores) for column in columns]} for metric in METRICS]


def cell(metric: Metric, scores: Scores) -> Cell:
    """Write one figure of a forecast."""
    value = _figures(scores).get(metric.key)
    if isinstance(value, dict):
        return Cell(
            _write(value["value"], metric), f"{_write(value['low'], metric)} to {_write(value['high'], metric)}"
        )
    return Cell(_write(value, metric))


def _figures(scores: Scores) -> Mapping[str, Interval | float | None]:
    """Return scores by name: what is looked up is only known when the table is written."""
    return cast(Mapping[str, Interval | float | None], scores)


def _write(value: float | None, metric: Metric) -> str:
    if value is None:
        return DASH
    return percent(value, metric.places) if metric.share else number(value, metric.places)


def checks(verdict: Verdict) -> list[Row]:
    """Return the conditions of the gate with names for people."""
    return [
        {**check, "label": CHECKS.get(check["name"], check["name"]), **_numbers(check)}
        for check in verdict["checks"]
    ]


def _numbers(check: Check) -> dict[str, str]:
    """Write value and limit alike: counts whole, days with one place, scores with four."""
    places = {"positives": 0, "days": 1}.get(check["name"], 4)
    limits = (check["value"], check["limit"])
    value, limit = (DASH if figure is None else number(figure, places) for figure in limits)
    sign = "≤" if check["name"] in ("brier", "ece") else ">" if limits[1] == 0 else "≥"
    return {"value_text": value, "limit_text": f"{sign} {limit}"}


def folds(rows: Sequence[Fold]) -> list[Row]:
    """Return the steps of the walk-forward, each with its skill as a bar."""
    skills = [1 - fold["log_loss"] / fold["constant"] if fold["constant"] else 0.0 for fold in rows]
    bars, zero = plots.wide_bars([("", value, value, value) for value in skills])
    return [{"fold": fold, "bar": bar, "zero": zero} for fold, bar in zip(rows, bars, strict=True)]


def claims(version: ModelVersion) -> list[Row]:
    """Return what an imported folder claims about itself, its scores first, each beside ours on every row."""
    holdout = cast(Report, version.report).get("holdout") if version.report else None
    ours = _figures(holdout["all_rows"]) if holdout else {}
    flat = [pair for pair in _flatten(version.claimed) if pair[0] not in NO_CLAIMS]
    flat.sort(key=lambda pair: SCORES.index(score) if (score := _score(pair[0])) in SCORES else len(SCORES))
    return [{"name": name, "claimed": _claim(value), "ours": _ours(ours, name)} for name, value in flat[:40]]


def _score(name: str) -> str:
    return CLAIMS.get(name.rpartition(".")[2].lower(), "")


def _claim(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _ours(scores: Mapping[str, Interval | float | None], name: str) -> float | None:
    value = scores.get(_score(name))
    return value["value"] if isinstance(value, dict) else value


def _flatten(value: object, name: str = "") -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        return [(name, value)] if name else []
    return [
        pair for key, inner in value.items() for pair in _flatten(inner, f"{name}.{key}" if name else str(key))
    ]


def artefact(version: ModelVersion) -> Row | None:
    """Return size, libraries and the digest's beginning without reading the model itself."""
    row = (
        Artefact.objects.filter(version=version)
        .annotate(size=Length("data"))
        .values("size", "format", "libraries", "digest")
        .first()
    )
    return {**row, "digest": bytes(row["digest"]).hex()[:12]} if row else None


def report(version: ModelVersion) -> Row:
    """Return everything of the report that never changes. One query."""
    stored = cast(Report, version.report) if version.report else None
    holdout = stored["holdout"] if stored else None
    compared = columns(holdout) if holdout else []
    bars, zero = plots.importance(stored["importance"]) if stored else ((), 0.0)
    return {
        "report": stored,
        # A day of movement of a simulated market may last minutes: there the time of the day matters.
        "style": "short" if version.simulated else "day",
        "holdout": holdout,
        "columns": compared,
        "metrics": table(compared),
        "reliability": plots.reliability(holdout["reliability"]) if holdout else None,
        "curve": _curve(holdout) if holdout else None,
        "folds": folds(stored["folds"]) if stored else [],
        "importance": bars,
        "importance_zero": zero,
        "checks": checks(cast(Verdict, version.verdict)) if version.verdict else [],
        "sure": 1 - version.verdict["alpha"] if version.verdict else None,
        "flattered": gate.FLATTERED,
        "claims": claims(version),
        "artefact": artefact(version),
        "recipe": recipe(version.recipe),
    }


def _curve(holdout: Holdout) -> plots.PrecisionRecall | None:
    model = holdout["model"]
    chosen = (model["recall"], model["precision"])
    return plots.precision_recall(holdout["curve"], holdout["left_move_curve"], model["base_rate"], chosen)


def recipe(stored: dict[str, object]) -> list[tuple[str, str]]:
    """Return a recipe as names and values, nested ones in one line."""
    return [(name.replace("_", " ").capitalize(), _plain(value)) for name, value in stored.items()]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "defaults"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "all"
    return str(value)


def live(version: ModelVersion) -> Row:
    """Return how a version does since its promotion: weekly skill, calibration and drift."""
    weeks = monitoring.weekly(version.pk)
    drawn = monitoring.each_week(version, weeks)
    holdout = cast(Report, version.report).get("holdout") if version.report else None
    promised = holdout["model"]["skill"] if holdout else None
    return {
        "weeks": weeks[::-1],
        "skill": plots.skill(
            [
                (label, _week_words(row), row.skill, row.low, row.high)
                for label, row in zip(labels([row.week for row in drawn], version.simulated), drawn, strict=True)
            ],
            promised["value"] if promised else None,
        ),
        "promised": promised,
        "live_reliability": plots.reliability(monitoring.reliability_live(version.pk)),
        "drift": drift(version),
    }


def labels(weeks: Sequence[datetime], simulated: bool = False) -> list[str]:
    """Return the first day of as many weeks as fit beside each other, the last among them, else nothing.

    A week of a simulated market may last less than an hour: there it is the time of the day.
    """
    every, style = -(-len(weeks) // MOST_LABELS), "%H:%M" if simulated else "%d %b"
    return [week.strftime(style) if (len(weeks) - 1 - n) % every == 0 else "" for n, week in enumerate(weeks)]


def _week_words(row: monitoring.WeekSkill) -> str:
    value = DASH if row.skill is None else percent(row.skill, 1)
    return (
        f"from {row.week:%d %b %Y %H:%M}: skill {value}, {row.positives} reversals in {row.candidates} candidates"
    )


def drift(version: ModelVersion) -> list[Row]:
    """Return each feature's drift, largest first, as a bar up to a PSI of 0.5."""
    axis = svg.Axis(0.0, 0.5)
    rows = sorted(monitoring.drift(version), key=lambda row: -row.psi)
    return [
        {"feature": row.feature, "psi": row.psi, "n": row.n, "reading": row.reading, "width": axis.at(row.psi)}
        for row in rows
    ]
