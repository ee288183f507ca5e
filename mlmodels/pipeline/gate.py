"""The gate: whether a new model becomes champion, by evidence from rows that nobody has trained on. Pure.

A higher score on the same rows is mostly luck: "promote if better" promotes six of ten retrainings of the very
same recipe. What is tested is the mean difference of the per-row log-loss with a block bootstrap over the clock,
and each further attempt against the same champion has to be surer: the levels α·6/(π²·k²) of attempts k = 1, 2, …
add up to α however often one tries. (The interval is an approximation: of models that are no better about α pass.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlmodels.pipeline import metrics
from mlmodels.pipeline.features import Floats
from mlmodels.pipeline.report import Check, Period, Verdict

ALPHA = 0.05
LEAST_POSITIVES = 100
LEAST_DAYS = 14.0
#: What the calibration error may be worse by: as much as it moves by chance on a few thousand rows.
CALIBRATION_SLACK = 0.01
#: Said wherever the figures of a promotion are shown: whoever passes did well on these rows, partly by luck.
FLATTERED = (
    "These are estimates on the rows that decided. Who is promoted did well on them, partly by luck, so they "
    "flatter: on later candles the saving over a champion was a third to a sixth of the estimate"
)
PROMOTE, KEEP, INSUFFICIENT = "promote", "keep", "insufficient"


@dataclass(frozen=True)
class Trial:
    """The candidates of the common unseen window and the probability that each forecast gives them.

    `time` is in bars of the clock, `days` how long the window is. `champion` is None where none has to be beaten.
    """

    time: NDArray[np.int64]
    outcome: NDArray[np.int8]
    challenger: Floats
    constant: Floats
    left_move: Floats
    champion: Floats | None
    champion_name: str
    days: float
    period: Period | None
    attempt: int
    seed: int


def level(attempt: int, alpha: float = ALPHA) -> float:
    """Return the level of the `attempt`-th look since the count began (counted from 1)."""
    return alpha * 6 / (math.pi * attempt) ** 2


def judge(trial: Trial) -> Verdict:
    """Return the verdict with every number behind it."""
    evidence = _evidence(trial)
    if not all(check["ok"] for check in evidence):
        who = f"{trial.champion_name} stays" if trial.champion is not None else "nobody speaks yet"
        missing = "; ".join(check["text"] for check in evidence if not check["ok"])
        return _verdict(trial, INSUFFICIENT, f"insufficient evidence, {who}: {missing}", evidence)
    checks = [*evidence, *_comparisons(trial)]
    failed = [check for check in checks if not check["ok"]]
    if not failed:
        beaten = f"{trial.champion_name} and " if trial.champion is not None else ""
        return _verdict(trial, PROMOTE, f"better than {beaten}both trivial forecasts on unseen rows", checks)
    who = f"{trial.champion_name} stays" if trial.champion is not None else "no model may speak"
    return _verdict(trial, KEEP, f"{who}: {failed[0]['text']}", checks)


def _verdict(trial: Trial, outcome: str, text: str, checks: Sequence[Check]) -> Verdict:
    return {
        "outcome": outcome,
        "text": text,
        "attempt": trial.attempt,
        "alpha": level(trial.attempt),
        "against": trial.champion_name,
        "period": trial.period,
        "rows": len(trial.outcome),
        "positives": int((trial.outcome == 1).sum()),
        "checks": list(checks),
    }


def _evidence(trial: Trial) -> list[Check]:
    positives = int((trial.outcome == 1).sum())
    return [
        {
            "name": "positives",
            "ok": positives >= LEAST_POSITIVES,
            "text": f"{positives} reversals in the unseen window, {LEAST_POSITIVES} are needed",
            "value": float(positives),
            "limit": float(LEAST_POSITIVES),
        },
        {
            "name": "days",
            "ok": trial.days >= LEAST_DAYS - 1e-9,
            "text": f"{trial.days:.1f} unseen days, {LEAST_DAYS:g} are needed",
            "value": trial.days,
            "limit": LEAST_DAYS,
        },
    ]


def _comparisons(trial: Trial) -> list[Check]:
    boot = metrics.Bootstrap(trial.time, trial.seed)
    checks = [
        _beats(trial, boot, "constant", trial.constant, "always saying the base rate"),
        _beats(trial, boot, "left_move", trial.left_move, "the size of the left move alone"),
    ]
    if trial.champion is not None:
        checks.append(_beats(trial, boot, "champion", trial.champion, f"champion {trial.champion_name}"))
        checks += _not_worse(trial, trial.champion)
    return checks


def _beats(trial: Trial, boot: metrics.Bootstrap, name: str, other: Floats, words: str) -> Check:
    """Compare log-losses row by row: the lower bound of what the challenger saves must be above 0."""
    saved = metrics.log_loss(trial.outcome, other) - metrics.log_loss(trial.outcome, trial.challenger)
    bound = metrics.lower_bound(boot.means(saved), level(trial.attempt))
    ok = bound > 0
    sure = f"at least {bound:+.4f} with {1 - level(trial.attempt):.1%} confidence"
    return {
        "name": name,
        "ok": ok,
        "text": f"log-loss {saved.mean():+.4f} better than {words} on these rows ({sure})"
        if ok
        else f"not surely better than {words}: log-loss {saved.mean():+.4f} on these rows, {sure}",
        "value": bound,
        "limit": 0.0,
    }


def _not_worse(trial: Trial, champion: Floats) -> list[Check]:
    """Compare ranking, Brier score and calibration with the champion's."""
    pairs = (
        ("pr_auc", "average precision", metrics.average_precision, -1, 0.0),
        ("brier", "Brier score", _brier, 1, 0.0),
        ("ece", "calibration error", metrics.calibration_error, 1, CALIBRATION_SLACK),
    )
    checks: list[Check] = []
    for name, words, score, sign, slack in pairs:
        ours, theirs = score(trial.outcome, trial.challenger), score(trial.outcome, champion)
        ok = sign * (ours - theirs) <= slack
        text = f"{words} {ours:.4f}, {trial.champion_name}'s {theirs:.4f}"
        checks.append(
            {"name": name, "ok": ok, "text": text if ok else f"{text}: worse", "value": ours, "limit": theirs}
        )
    return checks


def _brier(outcome: NDArray[np.int8], probability: Floats) -> float:
    return float(((probability - outcome) ** 2).mean())
