"""Drift: how far the features of live candidates lie from those that a model was trained on. Pure.

Measured by the population stability index over ten bins. It is information, not an alarm: on real candles most
features move most of the time, and what counts is whether the model still has skill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlmodels.pipeline.features import Floats

BINS = 10
MOST_DOUBT = 0.099  # a little less than a tenth: no bin is expected to be empty
#: Usual readings of the index (Siddiqi, Credit Risk Scorecards, 2006).
MOVED, FAR = 0.1, 0.25
LEAST_ROWS = 100
Reading = Literal["steady", "moved", "far"]


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """The index of one feature over `n` live rows: 0 is the same distribution as in training."""

    feature: str
    psi: float
    n: int
    reading: Reading


def deciles(rows: Floats, names: Sequence[str]) -> dict[str, list[float]]:
    """Return the nine values between the ten equally large parts of each column of `rows` (n, k)."""
    edges = np.quantile(rows, np.arange(1, BINS) / BINS, axis=0)
    return {name: edges[:, column].tolist() for column, name in enumerate(names)}


def psi(reference: Sequence[float], values: Floats) -> float:
    """Return the population stability index of `values` against the deciles of a reference.

    Deciles that are equal make one bin, whose share is known only within a tenth: it gets the benefit of the
    doubt. Each bin counts half a row more than it has, so that an empty one is no infinity.
    """
    edges, first, ties = np.unique(reference, return_index=True, return_counts=True)
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) + 0.5
    observed = counts / counts.sum()
    least = (first + ties) / BINS
    below = np.clip(observed.cumsum()[:-1], least, least + np.where(ties > 1, MOST_DOUBT, 0.0))
    expected = np.diff(below, prepend=0.0, append=1.0)
    return float(((observed - expected) * np.log(observed / expected)).sum())


def compare(reference: Mapping[str, Sequence[float]], names: Sequence[str], rows: Floats) -> list[FeatureDrift]:
    """Return the drift of each feature that has a reference, the largest first; nothing below 100 rows."""
    if len(rows) < LEAST_ROWS:
        return []
    drifts = [
        _one(name, psi(reference[name], rows[:, column]), len(rows))
        for column, name in enumerate(names)
        if name in reference
    ]
    return sorted(drifts, key=lambda item: -item.psi)


def _one(name: str, value: float, n: int) -> FeatureDrift:
    return FeatureDrift(name, value, n, "far" if value >= FAR else "moved" if value >= MOVED else "steady")
