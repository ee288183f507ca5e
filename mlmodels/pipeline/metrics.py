"""Scores of probabilities, each with its base rate and its interval. Pure.

Rows next to each other in time, and instruments at the same time, are alike: intervals come from a circular block
bootstrap over the clock, joint over instruments (Politis and Romano 1992), blocks of 12 bars. scikit-learn is only
imported where a ranking is scored: most processes read the names here and nothing else.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlmodels.pipeline.features import Floats
from mlmodels.pipeline.report import Curve, Interval, ReliabilityBin, Scores

BLOCK_BARS = 12
RESAMPLES = 2000
RANKING_RESAMPLES = 200  # of all rows, for the ranking
AT_A_TIME = 25
INTERVAL = (0.05, 0.95)
BINS = 10
SMALLEST = 1e-6  # no forecast counts as certain
CURVE_POINTS = 60
Outcomes = NDArray[np.int8]


def log_loss(outcome: Outcomes, probability: Floats) -> Floats:
    """Return the log-loss of each row (nats)."""
    p = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.asarray(-np.where(outcome == 1, np.log(p), np.log1p(-p)))


class Bootstrap:
    """Resamples of the clock: the same for everything that is compared on the same rows."""

    def __init__(self, time: NDArray[np.int64], seed: int, resamples: int = RESAMPLES) -> None:
        """Take the bar of each row (any order)."""
        self.bar = time - time.min()
        self.bars = int(self.bar.max()) + 1
        self.block = min(BLOCK_BARS, self.bars)
        count = -(-self.bars // self.block)
        generator = np.random.default_rng(seed)
        self.starts = generator.integers(0, self.bars, size=(resamples, count))

    def means(self, values: Floats) -> Floats:
        """Return the mean of `values` over the rows of each resample."""
        sums = self._block_sums(np.bincount(self.bar, weights=values, minlength=self.bars).astype(float))
        counts = self._block_sums(np.bincount(self.bar, minlength=self.bars).astype(float))
        total = np.maximum(counts[self.starts].sum(axis=1), 1.0)
        return np.asarray(sums[self.starts].sum(axis=1) / total)

    def weights(self, number: int) -> Floats:
        """Return how often each row occurs in resample `number`."""
        blocks = np.add.outer(self.starts[number], np.arange(self.block)).ravel() % self.bars
        return np.asarray(np.bincount(blocks, minlength=self.bars)[self.bar], float)

    def _block_sums(self, by_bar: Floats) -> Floats:
        """Return the sum of each block, by the bar it begins with; the clock is a circle."""
        running = np.concatenate([[0.0], np.cumsum(np.concatenate([by_bar, by_bar[: self.block]]))])
        return np.asarray(running[self.block : self.block + self.bars] - running[: self.bars])


def interval(value: float, resampled: Floats) -> Interval:
    """Return a value with its 90 % interval."""
    low, high = np.quantile(resampled, INTERVAL)
    return {"value": float(value), "low": float(low), "high": float(high)}


def lower_bound(resampled: Floats, alpha: float) -> float:
    """Return the `alpha` quantile; where too few resamples lie below it, by the normal approximation."""
    if alpha * len(resampled) >= 20:
        return float(np.quantile(resampled, alpha))
    return float(resampled.mean() + NormalDist().inv_cdf(alpha) * resampled.std(ddof=1))


def average_precision(outcome: Outcomes, probability: Floats) -> float:
    """Return the area under the precision-recall curve; NaN without a positive."""
    return float(average_precisions(outcome, probability, np.ones((1, len(outcome))))[0])


def average_precisions(outcome: Outcomes, probability: Floats, weights: Floats) -> Floats:
    """Return the average precision for each row of `weights` (m, n), as scikit-learn's with sample_weight.

    All at once, as the ranking is the same for every resample. NaN where no positive has weight.
    """
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(probability[order], append=np.nan) != 0)
    weighed = weights[:, order]
    seen = np.cumsum(weighed, axis=1)[:, last_of_ties]
    hits = np.cumsum(weighed * (outcome[order] == 1), axis=1)[:, last_of_ties]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, hits / seen, 0.0)
        return np.asarray((np.diff(hits, axis=1, prepend=0.0) * precision).sum(axis=1) / hits[:, -1])


def precision_or_none(outcome: Outcomes, probability: Floats) -> float | None:
    """Return the average precision; None without a positive."""
    value = average_precision(outcome, probability)
    return value if np.isfinite(value) else None


def _precision_interval(outcome: Outcomes, probability: Floats, boot: "Bootstrap") -> Interval | None:
    value = precision_or_none(outcome, probability)
    return None if value is None else interval(value, _ranked(outcome, probability, boot))


def _ranked(outcome: Outcomes, probability: Floats, boot: "Bootstrap") -> Floats:
    """Return the average precision of resamples, some at a time to save memory."""
    parts = [
        average_precisions(
            outcome, probability, np.stack([boot.weights(number) for number in range(first, first + AT_A_TIME)])
        )
        for first in range(0, RANKING_RESAMPLES, AT_A_TIME)
    ]
    ranked = np.concatenate(parts)
    return np.asarray(ranked[np.isfinite(ranked)])


def reliability(outcome: Outcomes, probability: Floats, bins: int = BINS) -> list[ReliabilityBin]:
    """Return predicted and observed rates in bins of about equally many rows, with Wilson's 90 % interval."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)))
    number = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows: list[ReliabilityBin] = []
    for index in np.unique(number):
        chosen = number == index
        n, rate = int(chosen.sum()), float(outcome[chosen].mean())
        low, high = wilson(rate, n)
        rows.append(
            {"n": n, "mean": float(probability[chosen].mean()), "rate": rate, "low": low, "high": high}
        )  # fmt: skip
    return rows


def wilson(rate: float, n: int, z: float = 1.645) -> tuple[float, float]:
    """Return Wilson's 90 % interval of a rate seen in `n` cases (Wilson 1927)."""
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def calibration_error(outcome: Outcomes, probability: Floats) -> float:
    """Return the expected calibration error: |predicted − observed| over the bins, weighted by their rows."""
    bins = reliability(outcome, probability)
    return sum(row["n"] * abs(row["mean"] - row["rate"]) for row in bins) / max(len(outcome), 1)


@dataclass(frozen=True)
class ConfusionCounts:
    """A forecast at a threshold against the outcomes, as counts of rows."""

    hits: int
    false_alarms: int
    misses: int
    correct_negatives: int

    @classmethod
    def of(cls, outcome: Outcomes, probability: Floats, threshold: float) -> "ConfusionCounts":
        """Count."""
        alarm, true = probability >= threshold, outcome == 1
        return cls(int((alarm & true).sum()), int((alarm & ~true).sum()), int((~alarm & true).sum()),
                   int((~alarm & ~true).sum()))  # fmt: skip

    @property
    def precision(self) -> float | None:
        """Share of its alarms that came true; None if there were none."""
        alarms = self.hits + self.false_alarms
        return self.hits / alarms if alarms else None

    @property
    def recall(self) -> float | None:
        """Share of what came true that it had predicted; None if nothing came true."""
        true = self.hits + self.misses
        return self.hits / true if true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        base = 2 * self.hits + self.false_alarms + self.misses
        return 2 * self.hits / base if base else None

    @property
    def accuracy(self) -> float:
        """Share of rows it was right about."""
        return (self.hits + self.correct_negatives) / (
            self.hits + self.false_alarms + self.misses + self.correct_negatives
        )


def best_threshold(outcome: Outcomes, probability: Floats) -> float:
    """Return the threshold with the highest F1; 0.5 without a positive."""
    if not (outcome == 1).any():
        return 0.5
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(outcome, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[int(np.argmax(f1[:-1]))])


def curve(outcome: Outcomes, probability: Floats) -> Curve:
    """Return at most `CURVE_POINTS` points of the precision-recall curve, from recall 1 to 0."""
    if not (outcome == 1).any():
        return []
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(outcome, probability)
    chosen = np.unique(np.linspace(0, len(recall) - 2, CURVE_POINTS).astype(int))
    return [[round(float(recall[i]), 4), round(float(precision[i]), 4)] for i in chosen]


def scores(
    outcome: Outcomes,
    probability: Floats,
    boot: Bootstrap,
    *,
    threshold: float,
    against: Floats | None = None,
) -> Scores:
    """Return all scores of a forecast with their intervals.

    `against` is the constant forecast that skill is measured by: 1 − log-loss / its log-loss.
    """
    losses, errors = log_loss(outcome, probability), (probability - outcome) ** 2
    counts = ConfusionCounts.of(outcome, probability, threshold)
    resampled = boot.means(losses)
    result: Scores = {
        "rows": len(outcome),
        "positives": int((outcome == 1).sum()),
        "base_rate": float((outcome == 1).mean()),
        "log_loss": interval(losses.mean(), resampled),
        "brier": interval(errors.mean(), boot.means(errors)),
        "pr_auc": _precision_interval(outcome, probability, boot),
        "ece": calibration_error(outcome, probability),
        "threshold": threshold,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "accuracy": counts.accuracy,
        "accuracy_of_never": float((outcome != 1).mean()),
        "skill": None,
    }
    if against is not None:
        floor = log_loss(outcome, against)
        result["skill"] = interval(1 - losses.mean() / floor.mean(), 1 - resampled / boot.means(floor))
    return result
