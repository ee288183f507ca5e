"""A version's report as tables for the terminal."""

from collections.abc import Callable, Iterator
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mlmodels.models import ModelVersion
from mlmodels.pipeline import gate
from mlmodels.pipeline.report import Interval, Report, Scores, Verdict

FORECASTS: tuple[tuple[str, Literal["model", "constant", "left_move"]], ...] = (
    ("this model", "model"),
    ("constant", "constant"),
    ("left move", "left_move"),
)


def tables(version: ModelVersion) -> Iterator[Table | str]:
    """Yield what to print of a version: its verdict, scores beside the baselines, folds, importance."""
    report: Report = version.report
    verdict: Verdict = version.verdict
    yield f"{version.name} · {version.family} · {version.get_state_display().lower()}: {verdict['text']}"
    if report["holdout"]:
        period = report["holdout"]["period"]
        when = f"{period['first'][:16]} to {period['last'][:16]} UTC"
        yield f"Candidates of the held-out {period['days']:g} days ({when}):"
        yield _scores(report)
    yield _folds(report)
    yield _checks(verdict)
    if report["importance"]:
        yield _importance(report)


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(report: Report) -> Table:
    held = report["holdout"]
    assert held is not None  # noqa: S101 - the caller has looked
    forecasts = [(name, held[key]) for name, key in FORECASTS]
    if held["champion"]:
        forecasts.append((held["champion_name"], held["champion"]))
    forecasts.append(("on all rows", held["all_rows"]))
    table = _table("", *(name for name, _ in forecasts))
    for name, write in SCORES:
        table.add_row(name, *(write(scores) for _, scores in forecasts))
    return table


def _interval(interval: Interval | None, places: int = 4) -> str:
    if interval is None:
        return "–"
    return f"{interval['value']:.{places}f} [{interval['low']:.{places}f}, {interval['high']:.{places}f}]"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _folds(report: Report) -> Table:
    table = _table(
        "walk-forward", "days", "candidates", "reversals", "log-loss", "constant", "left move", "PR-AUC"
    )
    for fold in report["folds"]:
        table.add_row(
            f"{fold['test']['first'][:10]} to {fold['test']['last'][:10]}", f"{fold['test']['days']:g}",
            f"{fold['candidates']:,}", f"{fold['positives']:,}", f"{fold['log_loss']:.4f}",
            f"{fold['constant']:.4f}", f"{fold['left_move']:.4f}", _share(fold["pr_auc"]),
        )  # fmt: skip
    return table


def _checks(verdict: Verdict) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("gate")
    table.add_column(f"attempt {verdict['attempt']}, level {verdict['alpha']:.4f}")
    for check in verdict["checks"]:
        table.add_row("✓" if check["ok"] else "✗", check["text"])
    if verdict["outcome"] == gate.PROMOTE:
        table.add_row("", f"{gate.FLATTERED}.")
    return table


def _importance(report: Report) -> Table:
    table = _table("feature shuffled", "log-loss grows by", "±")
    for item in report["importance"]:
        table.add_row(item["feature"], f"{item['mean']:.4f}", f"{item['spread']:.4f}")
    return table


SCORES: tuple[tuple[str, Callable[[Scores], str]], ...] = (
    ("rows", lambda scores: f"{scores['rows']:,}"),
    ("base rate", lambda scores: f"{scores['base_rate']:.2%}"),
    ("log-loss", lambda scores: _interval(scores["log_loss"])),
    ("skill against constant", lambda scores: _interval(scores["skill"], 3)),
    ("PR-AUC", lambda scores: _interval(scores["pr_auc"], 3)),
    ("Brier score", lambda scores: _interval(scores["brier"])),
    ("calibration error", lambda scores: f"{scores['ece']:.4f}"),
    ("threshold", lambda scores: f"{scores['threshold']:.3f}"),
    ("precision", lambda scores: _share(scores["precision"])),
    ("recall", lambda scores: _share(scores["recall"])),
    ("F1", lambda scores: _share(scores["f1"])),
    ("accuracy", lambda scores: _share(scores["accuracy"])),
    ("accuracy of “never”", lambda scores: _share(scores["accuracy_of_never"])),
)
