"""The gate: says so when it can't know, promotes what is better on unseen rows, and nothing else."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mlmodels.pipeline import gate, metrics
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


def outcomes(positives: int) -> np.ndarray:
    return np.r_[np.ones(positives), np.zeros(ROWS - positives)].astype(np.int8)


def test_exactly_a_hundred_reversals_and_exactly_fourteen_days_are_enough() -> None:
    verdict = judge(trial(outcome=outcomes(100), days=14.0))
    assert verdict["outcome"] != INSUFFICIENT
    assert verdict["positives"] == 100
    assert [(check["ok"], check["value"], check["limit"]) for check in verdict["checks"][:2]] == [
        (True, 100.0, 100.0),
        (True, 14.0, 14.0),
    ]
    assert judge(trial(outcome=outcomes(99), days=14.0))["outcome"] == INSUFFICIENT
    assert judge(trial(outcome=outcomes(100), days=13.99))["outcome"] == INSUFFICIENT


def test_two_things_that_are_missing_are_both_said() -> None:
    verdict = judge(trial(outcome=outcomes(3), days=2.0, champion=None, champion_name=""))
    assert verdict["text"] == (
        "insufficient evidence, nobody speaks yet: 3 reversals in the unseen window, 100 are needed; "
        "2.0 unseen days, 14 are needed"
    )
    assert [check["ok"] for check in verdict["checks"]] == [False, False]


def test_a_promotion_says_who_was_beaten() -> None:
    assert judge(trial())["text"] == "better than 20250101_000000 and both trivial forecasts on unseen rows"
    first = judge(trial(champion=None, champion_name=""))
    assert first["text"] == "better than both trivial forecasts on unseen rows"
    assert [check["name"] for check in first["checks"]] == ["positives", "days", "constant", "left_move"]


def named(verdict: Verdict, name: str) -> Any:
    return next(check for check in verdict["checks"] if check["name"] == name)


def test_what_is_worse_is_called_worse_with_both_numbers() -> None:
    base = trial()
    timid = base.constant + (base.challenger - base.challenger.mean()) * 0.01
    noisy = np.clip(base.challenger + np.random.default_rng(1).normal(0, 0.03, ROWS), 0.001, 0.999)
    verdict = judge(replace(base, challenger=noisy, champion=timid))
    check = named(verdict, "pr_auc")
    assert check["text"] == (
        f"average precision {check['value']:.4f}, 20250101_000000's {check['limit']:.4f}: worse"
    )
    assert check["value"] == metrics.average_precision(base.outcome, noisy)
    assert check["limit"] == metrics.average_precision(base.outcome, timid)
    assert verdict["text"] == f"20250101_000000 stays: {check['text']}"
    brier = named(verdict, "brier")
    assert brier["text"] == f"Brier score {brier['value']:.4f}, 20250101_000000's {brier['limit']:.4f}"
    assert brier["value"] == pytest.approx(float(((noisy - base.outcome) ** 2).mean()))
    ece = named(verdict, "ece")
    assert ece["text"] == f"calibration error {ece['value']:.4f}, 20250101_000000's {ece['limit']:.4f}"
    assert ece["value"] == metrics.calibration_error(base.outcome, noisy)


def test_an_equal_score_is_not_worse() -> None:
    same = judge(trial(champion=trial().challenger))
    assert [named(same, name)["ok"] for name in ("pr_auc", "brier", "ece")] == [True, True, True]


def test_a_comparison_says_what_was_saved_and_how_sure_that_is() -> None:
    base = trial(attempt=2)
    verdict = judge(base)
    boot = metrics.Bootstrap(base.time, base.seed)
    rivals = [
        ("constant", base.constant, "always saying the base rate"),
        ("left_move", base.left_move, "the size of the left move alone"),
        ("champion", base.champion, "champion 20250101_000000"),
    ]
    for name, rival, words in rivals:
        saved = metrics.log_loss(base.outcome, rival) - metrics.log_loss(base.outcome, base.challenger)
        bound = metrics.lower_bound(boot.means(saved), level(2))
        sure = f"(at least {bound:+.4f} with 99.2% confidence)"
        assert named(verdict, name) == {
            "name": name,
            "ok": True,
            "text": f"log-loss {saved.mean():+.4f} better than {words} on these rows {sure}",
            "value": bound,
            "limit": 0.0,
        }


def test_what_is_not_surely_better_says_by_how_much() -> None:
    base = trial(champion=trial().challenger)
    check = named(judge(base), "champion")
    assert check["text"] == (
        "not surely better than champion 20250101_000000: log-loss +0.0000 on these rows, "
        "at least +0.0000 with 97.0% confidence"
    )
    assert (check["ok"], check["value"]) == (False, 0.0)


def test_the_level_of_an_attempt_is_that_of_the_formula() -> None:
    assert level(1) == pytest.approx(0.05 * 6 / math.pi**2)
    assert level(3, alpha=0.1) == pytest.approx(0.1 * 6 / math.pi**2 / 9)
    verdict = judge(trial(attempt=3))
    assert (verdict["attempt"], verdict["alpha"]) == (3, level(3))


def test_a_verdict_carries_the_period_it_looked_at() -> None:
    period: Any = {"first": "2026-01-01", "last": "2026-01-22"}
    assert judge(trial(period=period))["period"] == period


@pytest.mark.parametrize("outcome", [PROMOTE, KEEP])
def test_the_printed_report_says_what_the_figures_of_a_promotion_are(outcome: str) -> None:
    verdict = {"attempt": 1, "alpha": 0.03, "outcome": outcome, "checks": []}
    cells = [str(cell) for column in report_text._checks(verdict).columns for cell in column.cells]
    assert any("flatter" in cell for cell in cells) == (outcome == PROMOTE)


@pytest.mark.parametrize(("worse", "ok"), [(0.0, True), (0.008, True), (0.0099, True), (0.0101, False)])
def test_a_calibration_may_be_a_hundredth_worse(monkeypatch: pytest.MonkeyPatch, worse: float, ok: bool) -> None:
    base = trial()
    errors = {id(base.challenger): 0.1 + worse, id(base.champion): 0.1}
    monkeypatch.setattr(metrics, "calibration_error", lambda outcome, forecast: errors[id(forecast)])
    assert ("ece" not in failed(judge(base))) is ok
