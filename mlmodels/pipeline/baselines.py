"""Trivial forecasts that a model has to beat. Pure.

Half of a label is known at its bar, and how far the left move went beyond the threshold predicts more than most
features. A model that does not beat a curve through that one number has learned nothing.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from mlmodels.pipeline.dataset import Dataset, NotEnough
from mlmodels.pipeline.features import Floats
from mlmodels.pipeline.labels import REVERSAL


class Constant:
    """Predicts the base rate of the training rows, for every row."""

    def __init__(self, train: Dataset) -> None:
        """Learn from candidates."""
        self.rate = float((train.reversal == REVERSAL).mean())

    def predict(self, rows: Dataset) -> Floats:
        """Return the same probability for every row."""
        return np.full(len(rows), self.rate)


class LeftMove:
    """A logistic curve through the size of the left move over its threshold, and its square (in logs)."""

    def __init__(self, train: Dataset) -> None:
        """Learn from candidates. Raises NotEnough if they are all of one kind."""
        if train.positives in (0, len(train)):
            raise NotEnough(f"{train.positives} of {len(train)} candidates are reversals: nothing to tell apart")
        self.curve = LogisticRegression().fit(self._inputs(train), train.reversal)

    def predict(self, rows: Dataset) -> Floats:
        """Return the probability of each candidate."""
        return np.asarray(self.curve.predict_proba(self._inputs(rows))[:, 1])

    @staticmethod
    def _inputs(rows: Dataset) -> Floats:
        beyond = np.log(np.maximum(rows.excess, 1.0))
        return np.column_stack([beyond, beyond**2])
