"""Models as rows: versions with a plausible report, trainings, predictions and a proof."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from market.models import Candle, Instrument
from mlmodels.models import Artefact, ModelVersion, Prediction, Promotion, ProofRun, TrainingRun
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.report import (
    Check,
    Fold,
    Holdout,
    Interval,
    ProofResult,
    ReliabilityBin,
    Report,
    Scores,
    Verdict,
)

FAMILY = "reversal-5s-simulated"
START = datetime(2025, 1, 1, tzinfo=UTC)
FEATURES = (
    "left_excess", "distance_from_low", "rsi_14", "bb_position", "volatility_ratio", "volume_ratio", "macd_scaled",
    "hour_sine",
)  # fmt: skip
_names = itertools.count(1)
__all__ = ["FAMILY", "predictions", "promoted", "proof", "report", "training", "version"]


def interval(value: float, half: float) -> Interval:
    return {"value": value, "low": round(value - half, 5), "high": round(value + half, 5)}


def scores(log_loss: float, pr_auc: float, *, rows: int = 5120, **changes: Any) -> Scores:
    base = 0.262
    result: Scores = {
        "rows": rows,
        "positives": round(rows * base),
        "base_rate": base,
        "log_loss": interval(log_loss, 0.011),
        "brier": interval(0.165 + (log_loss - 0.5), 0.005),
        "pr_auc": interval(pr_auc, 0.028),
        "ece": 0.0091,
        "threshold": 0.31,
        "precision": 0.412,
        "recall": 0.587,
        "f1": 0.484,
        "accuracy": 0.671,
        "accuracy_of_never": 1 - base,
        "skill": interval(1 - log_loss / 0.5752, 0.018),
    }
    return {**result, **changes}  # type: ignore[typeddict-item]


def reliability() -> list[ReliabilityBin]:
    pairs = ((0.06, 0.05), (0.12, 0.14), (0.18, 0.17), (0.24, 0.26), (0.31, 0.30), (0.39, 0.42), (0.52, 0.5))
    return [
        {"n": 512 + 40 * n, "mean": mean, "rate": rate, "low": max(0.0, rate - 0.03), "high": rate + 0.03}
        for n, (mean, rate) in enumerate(pairs)
    ]


def curve(top: float) -> list[list[float]]:
    """From recall 1 (precision: the base rate) to 0."""
    return [
        [recall / 20, round(0.262 + (top - 0.262) * (1 - recall / 20) ** 1.6, 4)] for recall in range(20, 0, -1)
    ]


def holdout(champion: str = "") -> Holdout:
    return {
        "period": {"first": "2025-11-01T00:00:00+00:00", "last": "2025-11-22T00:00:00+00:00", "days": 21.0},
        "model": scores(0.5217, 0.418),
        "constant": scores(0.5752, 0.262, skill=None, precision=None, recall=0.0, f1=None),
        "left_move": scores(0.5561, 0.331),
        "champion": scores(0.5249, 0.409) if champion else None,
        "champion_name": champion,
        "all_rows": scores(
            0.1043,
            0.299,
            rows=24_192,
            base_rate=0.071,
            brier=interval(0.0312, 0.001),
            skill=interval(0.585, 0.02),
            accuracy=0.921,
            accuracy_of_never=0.929,
        ),
        "reliability": reliability(),
        "curve": curve(0.74),
        "left_move_curve": curve(0.52),
    }


def fold(number: int) -> Fold:
    first = START + timedelta(days=120 + 40 * number)
    middle, last = first.isoformat(), (first + timedelta(days=40)).isoformat()
    loss = 0.52 + 0.006 * number
    return {
        "train": {"first": START.isoformat(), "last": middle, "days": 120.0 + 40 * number},
        "test": {"first": middle, "last": last, "days": 40.0},
        "rows": 46_080,
        "candidates": 9_700 + 120 * number,
        "positives": 2_530 + 31 * number,
        "log_loss": loss,
        "constant": 0.578,
        "left_move": 0.557,
        "pr_auc": 0.41 - 0.005 * number,
    }


def report(champion: str = "") -> Report:
    symbols = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT")
    end = "2025-11-22T00:00:00+00:00"
    return {
        "data": {
            "symbols": [
                {
                    "symbol": name,
                    "candles": 93_600 - n,
                    "first": START.isoformat(),
                    "last": end,
                    "stretches": 3 + n,
                }
                for n, name in enumerate(symbols)
            ],
            "rows": 368_212,
            "candidates": 98_410,
            "positives": 25_783,
            "base_rate": 0.07,
            "candidate_base_rate": 0.262,
        },
        "label": "peak or trough of 1 σ of a 5-bar move within ±5 bars",
        "trained": {"first": START.isoformat(), "last": "2025-10-31T00:00:00+00:00", "days": 303.0},
        "folds": [fold(number) for number in range(5)],
        "walk_forward": scores(0.531, 0.402, rows=49_700),
        "holdout": holdout(champion),
        "importance": [
            {"feature": name, "mean": round(0.021 / (n + 1) ** 1.4 - 0.0012, 5), "spread": 0.0011}
            for n, name in enumerate(FEATURES)
        ],
        "seconds": {"load": 2.1, "features": 1.4, "walk-forward": 9.8, "fit": 2.2, "evaluate": 3.1},
    }


def check(name: str, ok: bool, value: float, limit: float, text: str) -> Check:
    return {"name": name, "ok": ok, "text": text, "value": value, "limit": limit}


def verdict(outcome: str = "promote", against: str = "") -> Verdict:
    good = outcome == "promote"
    checks = [
        check("positives", True, 1341, 100, "1341 reversals in the unseen window, 100 are needed"),
        check("days", True, 21, 14, "21.0 unseen days, 14 are needed"),
        check("constant", True, 0.0442, 0, "log-loss +0.0535 better than always saying the base rate"),
        check(
            "left_move", good, 0.0231 if good else -0.0012, 0, "log-loss +0.0344 better than the left move alone"
        ),
    ]
    texts = {
        "promote": "better than both trivial forecasts on unseen rows",
        "keep": "no model may speak: not surely better than the size of the left move alone",
        "insufficient": "insufficient evidence, nobody speaks yet: 41 reversals in the unseen window",
    }
    return {
        "outcome": outcome,
        "text": texts[outcome],
        "attempt": 2,
        "alpha": 0.0076,
        "against": against,
        "period": holdout()["period"],
        "rows": 5120,
        "positives": 1341,
        "checks": checks,
    }


def version(state: str = "rejected", *, with_artefact: bool = True, **fields: Any) -> ModelVersion:
    """Make a version with its report; of the simulated market unless said otherwise."""
    simulated = fields.pop("simulated", True)
    defaults: dict[str, Any] = {
        "name": f"20251122_{next(_names):06d}",
        "family": FAMILY,
        "timeframe": 5,
        "simulated": simulated,
        "state": state,
        "schema": "desk-1",
        "schema_hash": "ab12" * 16,
        "recipe": Recipe(bars_per_day=17_280 / 60).as_json(),
        "threshold": 0.31,
        "trained_from": START,
        "trained_to": START + timedelta(days=303),
        "training_rows": 74_300,
        "report": report(),
        "verdict": verdict("promote" if state in ("champion", "retired") else "keep"),
        "promoted_at": timezone.now() - timedelta(days=3) if state in ("champion", "retired") else None,
    }
    row = ModelVersion.objects.create(**(defaults | fields))
    if with_artefact:
        libraries = {"python": "3.13.1", "scikit-learn": "1.9.1", "numpy": "2.4.6", "skops": "0.16.0"}
        Artefact.objects.create(
            version=row, format=1, data=b"never parsed" * 30_000, digest=b"\x0f" * 32, libraries=libraries,
            golden={"rows": [], "probabilities": []},
        )  # fmt: skip
    return row


def promoted(**fields: Any) -> tuple[ModelVersion, ModelVersion]:
    """Make a champion and the one it replaced, with the history of both."""
    before, champion = version("retired"), version("champion", **fields)
    Promotion.objects.create(
        family=FAMILY,
        version=before,
        version_name=before.name,
        kind="first",
        reason="better than both",
        verdict={},
    )
    Promotion.objects.create(
        family=FAMILY, version=champion, version_name=champion.name, previous=before, previous_name=before.name,
        kind="gate", reason="better than the champion and both trivial forecasts on unseen rows", verdict={},
    )  # fmt: skip
    return champion, before


def training(state: str = "running", **fields: Any) -> TrainingRun:
    """Make a training run; a running one is in the third fold."""
    now = timezone.now()
    sentences = ["374,400 candles: BTCUSDT 93,600, ETHUSDT 93,600"]
    sentences += [f"fold {n} of 5: log-loss 0.52{n}1, constant 0.5780, left move 0.5570" for n in (1, 2, 3)]
    log = [{"at": (now - timedelta(seconds=20 - n)).isoformat(), "text": text} for n, text in enumerate(sentences)]
    begun = state != "queued"
    defaults: dict[str, Any] = {
        "family": FAMILY,
        "timeframe": 5,
        "simulated": True,
        "state": state,
        "step": "walk-forward" if begun else "",
        "progress": 0.42 if begun else 0.0,
        "log": log if begun else [],
        "trigger": "first",
        "recipe": Recipe().as_json(),
        "started_at": now - timedelta(seconds=25) if begun else None,
        "heartbeat_at": now if begun else None,
        "finished_at": None if state in TrainingRun.LIVE else now,
        "error": "The training process was killed in step “walk-forward”." if state == "failed" else "",
    }
    return TrainingRun.objects.create(**(defaults | fields))


def predictions(owner: ModelVersion, instrument: Instrument, count: int = 30) -> None:
    """Have a version score the last `count` candles of an instrument: peaks, troughs and nothing in turn."""
    times = Candle.objects.filter(instrument=instrument, timeframe=owner.timeframe).order_by("-open_time")
    ends = {0: {"label": True}, 1: {"label": False}, 2: {"void": True}, 3: {}}
    for n, open_time in enumerate(list(times.values_list("open_time", flat=True)[:count])):
        side = ("peak", "none", "trough")[n % 3]
        known = ends[n // 3 % 4]
        Prediction.objects.create(
            instrument=instrument, timeframe=owner.timeframe, open_time=open_time, market="simulated",
            version=owner, schema_hash=owner.schema_hash, side=side,
            probability=0.0 if side == "none" else 0.2 + n % 7 / 10, features=[0.0],
            labelled_at=timezone.now() if known else None, **known,
        )  # fmt: skip


def proved(
    name: str, claim: str, finding: str, trials: int | None = None, count: int | None = None
) -> ProofResult:
    share = interval(count / trials, 0.0) if trials and count is not None else None
    return {
        "name": name, "ok": True, "claim": claim, "found": finding, "trials": trials, "count": count,
        "share": share,
    }  # fmt: skip


def proof(state: str = "passed", **fields: Any) -> ProofRun:
    """Make a run of the honesty suite with three of its tests."""
    caught = 11 if state == "failed" else 20
    results = [
        proved("truncation", "what is said at t needs nothing after t", "0 of 20 features differ in 400 cuts"),
        proved("random-walk", "a market without signal promotes in at most 5 % of trials", "1 promoted", 40, 1),
        proved("leak-canary", "a feature that contains the label is caught and named", "label_ahead", 20, caught),
    ]
    results[-1]["ok"] = state != "failed"
    ended = None if state == "running" else timezone.now()
    defaults: dict[str, Any] = {
        "state": state, "subject": "real candles of 4 instruments, 2025", "simulated": False,
        "progress": 0.3 if state == "running" else 1.0, "step": "shuffle" if state == "running" else "",
        "results": results[:1] if state == "running" else results, "finished_at": ended,
        "error": "the process was killed" if state == "error" else "",
    }  # fmt: skip
    return ProofRun.objects.create(**(defaults | fields))
