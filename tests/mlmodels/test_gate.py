"""The gate: says so when it can't know, promotes what is better on unseen rows, and nothing else."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mlmodels.pipeline import gate
from mlmodels.pipeline.gate import INSUFFICIENT, KEEP, PROMOTE, Trial, judge, level
from mlmodels.pipeline.report import Verdict
from mlmodels.training import report_text

ROWS = 4_000


def trial(**changes: Any) -> Trial:
    """A challenger that knows a good part of the truth, against a champion that knows little of it."""
    random = np.random.default_rng(5)
    signal = random.normal(size=ROWS)
    true = 1 / (1 + np.exp(1.2 - 1.5 * signal))
    values: dict[str, Any] = {
        "time": np.sort(random.integers(0, 4_032, ROWS)),
        "outcome": (random.random(ROWS) < true).astype(np.int8),
        "challenger": true,
        "constant": np.full(ROWS, true.mean()),
        "left_move": 1 / (1 + np.exp(1.0 - 0.3 * signal)),
        "champion": 1 / (1 + np.exp(1.1 - 0.8 * signal)),
        "champion_name": "20250101_000000",
        "days": 21.0,
        "period": None,
        "attempt": 1,
        "seed": 42,
    }
    return Trial(**(values | changes))


def failed(verdict: Verdict) -> list[str]:
    return [check["name"] for check in verdict["checks"] if not check["ok"]]


def test_a_plainly_better_model_is_promoted_with_every_number() -> None:
    verdict = judge(trial())
    assert verdict["outcome"] == PROMOTE
    assert failed(verdict) == []
    names = [check["name"] for check in verdict["checks"]]
    assert names == ["positives", "days", "constant", "left_move", "champion", "pr_auc", "brier", "ece"]
    assert all(check["value"] is not None and check["limit"] is not None for check in verdict["checks"])
    assert (verdict["against"], verdict["rows"], verdict["attempt"]) == ("20250101_000000", ROWS, 1)


def test_the_same_model_again_is_not_promoted() -> None:
    verdict = judge(trial(champion=trial().challenger))
    assert verdict["outcome"] == KEEP
    assert failed(verdict) == ["champion"]
    assert verdict["text"].startswith("20250101_000000 stays: not surely better than champion")


def test_models_that_differ_by_chance_alone_are_rarely_promoted() -> None:
    base, promoted = trial(), 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        ours, theirs = (np.clip(base.challenger + 0.02 * random.normal(size=ROWS), 0.001, 0.999) for _ in range(2))
        outcome = (random.random(ROWS) < base.challenger).astype(np.int8)
        verdict = judge(replace(base, challenger=ours, champion=theirs, outcome=outcome))
        promoted += verdict["outcome"] == PROMOTE
    assert promoted <= 2


@pytest.mark.parametrize("name", ["constant", "left_move", "champion"])
def test_each_rival_alone_keeps_a_worse_model_out(name: str) -> None:
    base = trial()
    sharp = np.where(base.outcome == 1, 0.9, 0.1)
    verdict = judge(replace(base, **{name: sharp}))
    assert verdict["outcome"] == KEEP
    assert name in failed(verdict)
    assert set(failed(verdict)) <= {name, "pr_auc", "brier", "ece"}


def test_a_worse_ranking_alone_keeps_it_out() -> None:
    # The champion puts all rows in the right order, but says nearly the same of each.
    base = trial()
    timid = base.constant + (base.challenger - base.challenger.mean()) * 0.01
    noisy = np.clip(base.challenger + np.random.default_rng(1).normal(0, 0.03, ROWS), 0.001, 0.999)
    assert failed(judge(replace(base, challenger=noisy, champion=timid))) == ["pr_auc"]


def test_a_worse_calibration_alone_keeps_it_out() -> None:
    # The champion tells only three kinds of rows apart, but says of each what is true.
    base = trial()
    edges = np.quantile(base.challenger, [1 / 3, 2 / 3])
    kind = np.searchsorted(edges, base.challenger)
    coarse = np.array([base.outcome[kind == number].mean() for number in range(3)])[kind]
    shifted = np.clip(base.challenger + 0.03, 0.001, 0.999)
    assert failed(judge(replace(base, challenger=shifted, champion=coarse))) == ["ece"]


def test_a_worse_brier_score_alone_keeps_it_out() -> None:
    # The champion is a little nearer to the truth everywhere, and certain of a few rows where it is wrong.
    base = trial()
    champion = base.challenger + 0.03 * (base.outcome - base.challenger)
    wrong = np.flatnonzero(base.outcome == 0)
    champion[wrong[:: len(wrong) // 20]] = 1 - 1e-6
    assert failed(judge(replace(base, champion=champion))) == ["brier"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"days": 13.9}, "13.9 unseen days, 14 are needed"),
        (
            {"outcome": np.r_[np.ones(99), np.zeros(ROWS - 99)].astype(np.int8)},
            "99 reversals in the unseen window",
        ),
    ],
)
def test_with_too_little_evidence_the_champion_stays_and_nothing_is_compared(
    changes: dict[str, Any], words: str
) -> None:
    verdict = judge(trial(**changes))
    assert verdict["outcome"] == INSUFFICIENT
    assert verdict["text"].startswith("insufficient evidence, 20250101_000000 stays: ")
    assert words in verdict["text"]
    assert [check["name"] for check in verdict["checks"]] == ["positives", "days"]


def test_an_empty_window_is_insufficient_evidence() -> None:
    none = np.empty(0)
    empty = trial(
        time=none.astype(np.int64), outcome=none.astype(np.int8), challenger=none, constant=none, left_move=none,
        champion=none, days=0.0,
    )  # fmt: skip
    assert judge(empty)["outcome"] == INSUFFICIENT


def test_the_first_model_has_to_beat_both_trivial_forecasts() -> None:
    assert judge(trial(champion=None, champion_name=""))["outcome"] == PROMOTE
    useless = trial(champion=None, champion_name="", challenger=trial().left_move)
    verdict = judge(useless)
    assert verdict["outcome"] == KEEP
    assert failed(verdict) == ["left_move"]
    assert verdict["text"].startswith("no model may speak")


def test_the_levels_of_all_attempts_add_up_to_alpha() -> None:
    levels = [level(attempt) for attempt in range(1, 20_001)]
    assert sum(levels) == pytest.approx(gate.ALPHA, rel=1e-4)
    assert sum(levels) < gate.ALPHA
    assert all(later < earlier for earlier, later in pairwise(levels))


def test_what_is_enough_at_the_first_look_is_not_enough_at_the_fiftieth() -> None:
    base = trial()
    assert base.champion is not None
    slightly = replace(base, challenger=0.99 * base.champion + 0.01 * base.challenger)
    surer = replace(slightly, outcome=base.outcome, attempt=50)
    bounds = [
        next(check["value"] for check in judge(tried)["checks"] if check["name"] == "champion")
        for tried in (slightly, surer)
    ]
    assert bounds[1] < bounds[0]
    assert judge(surer)["alpha"] == pytest.approx(judge(slightly)["alpha"] / 2_500)


def test_the_verdict_is_the_same_again_for_the_same_seed() -> None:
    assert judge(trial()) == judge(trial())
    assert all(math.isfinite(check["value"] or 0) for check in judge(trial())["checks"])


@pytest.mark.parametrize("outcome", [PROMOTE, KEEP])
def test_the_printed_report_says_what_the_figures_of_a_promotion_are(outcome: str) -> None:
    verdict = {"attempt": 1, "alpha": 0.03, "outcome": outcome, "checks": []}
    cells = [str(cell) for column in report_text._checks(verdict).columns for cell in column.cells]
    assert any("flatter" in cell for cell in cells) == (outcome == PROMOTE)
