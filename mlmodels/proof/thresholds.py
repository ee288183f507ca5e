"""When a share of trials is small or large enough. Pure.

The rule is on the count itself: "at most 5 %" holds if count ≤ 5 % of the trials, "at least 80 %" if count ≥ 80 %
of them; Wilson's 90 % interval of the share is shown beside it. A trial in which the gate had too little evidence
to judge is no trial: where more than half are like that, nothing was shown and the claim does not hold.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mlmodels.pipeline import gate, metrics
from mlmodels.pipeline.report import Interval, ProofResult, Verdict

MOST_WRONG = 0.05
LEAST_FOUND = 0.80
Rule = Literal["at most", "at least"]
NORMAL_90 = 1.645  # standard errors on either side of a mean


def counted(
    name: str,
    claim: str,
    count: int,
    trials: int,
    rule: Rule,
    share: float,
    *,
    words: str,
    detail: Sequence[str] = (),
) -> ProofResult:
    """Return the result of counting: `count` of `trials` must be at most, or at least, `share`."""
    limit = allowed(trials, share) if rule == "at most" else needed(trials, share)
    ok = trials > 0 and (count <= limit if rule == "at most" else count >= limit)
    rate = count / max(trials, 1)
    low, high = metrics.wilson(rate, trials) if trials else (0.0, 1.0)
    interval = f"{rate:.1%}, 90 % interval {low:.1%} to {high:.1%}"
    return {
        "name": name,
        "ok": ok,
        "claim": claim,
        "found": f"{count} of {trials} {words} ({interval}; {rule} {limit})",
        "trials": trials,
        "count": count,
        "share": {"value": rate, "low": low, "high": high},
        "detail": list(detail),
    }


def allowed(trials: int, share: float) -> int:
    """Return the largest count that is at most `share` of `trials`."""
    return math.floor(trials * share + 1e-9)


def needed(trials: int, share: float) -> int:
    """Return the smallest count that is at least `share` of `trials`."""
    return math.ceil(trials * share - 1e-9)


def promotions(
    name: str, claim: str, verdicts: Sequence[Verdict], rule: Rule, share: float, detail: Sequence[str] = ()
) -> ProofResult:
    """Count promotions among the trials that the gate could judge."""
    judged = [verdict for verdict in verdicts if verdict["outcome"] != gate.INSUFFICIENT]
    count = sum(verdict["outcome"] == gate.PROMOTE for verdict in judged)
    unjudged = len(verdicts) - len(judged)
    notes = [*detail, *([f"{unjudged} more trials had too little evidence to judge"] if unjudged else [])]
    result = counted(name, claim, count, len(judged), rule, share, words="promoted", detail=notes)
    result["ok"] = result["ok"] and len(judged) * 2 >= len(verdicts)
    return result


def mean_of(values: Sequence[float]) -> Interval:
    """Return the mean of independent trials with its 90 % interval."""
    sample = np.asarray(values)
    middle = float(sample.mean())
    half = NORMAL_90 * float(sample.std(ddof=1)) / math.sqrt(len(sample)) if len(sample) > 1 else math.inf
    return {"value": middle, "low": middle - half, "high": middle + half}


def interval_text(interval: Interval) -> str:
    """Return a skill with its interval."""
    return f"{interval['value']:+.4f} (90 % interval {interval['low']:+.4f} to {interval['high']:+.4f})"
