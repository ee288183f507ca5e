"""The factory of estimators: by name, with parameters that are checked before anything is trained.

scikit-learn is imported when the first one is made: most processes only read the names.
"""

from importlib import import_module
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlmodels.pipeline.config import Parameters
from mlmodels.pipeline.features import Floats

#: The inventory's own parameters.
INVENTORY: Parameters = {
    "n_estimators": 200,
    "max_depth": 7,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "min_samples_split": 5,
    "min_samples_leaf": 2,
}
# Small trees and many rows in a leaf: on these labels more depth only learns noise.
HISTOGRAM: Parameters = {
    "max_iter": 120,
    "learning_rate": 0.05,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 100,
    "l2_regularization": 5.0,
    "early_stopping": False,
}
FOREST: Parameters = {"n_estimators": 200, "min_samples_leaf": 50}


class Estimator(Protocol):
    """What a model can do. `predict_proba` returns (n, 2): no reversal, reversal."""

    def fit(self, X: Floats, y: NDArray[np.int8]) -> "Estimator | None":  # noqa: N803 - scikit-learn's name
        """Learn; scikit-learn's return themselves."""

    def predict_proba(self, X: Floats) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return probabilities."""


REFUSED = {
    "class_weight": "confidence would no longer be a probability",
    "n_jobs": "the same model would not always give the same numbers",
    "random_state": "the recipe has a seed",
}


class Maker(NamedTuple):
    """Where an estimator is defined, its defaults here, and whether its inputs are scaled first."""

    module: str
    name: str
    defaults: Parameters
    scaled: bool = False


_MAKERS = {
    "HistGradientBoosting": Maker("sklearn.ensemble", "HistGradientBoostingClassifier", HISTOGRAM),
    "GradientBoosting": Maker("sklearn.ensemble", "GradientBoostingClassifier", INVENTORY),
    "LogisticRegression": Maker("sklearn.linear_model", "LogisticRegression", {"max_iter": 500}, scaled=True),
    "RandomForest": Maker("sklearn.ensemble", "RandomForestClassifier", FOREST),
    "ExtraTrees": Maker("sklearn.ensemble", "ExtraTreesClassifier", FOREST),
    "AdaBoost": Maker("sklearn.ensemble", "AdaBoostClassifier", {"n_estimators": 100}),
}
NAMES = tuple(_MAKERS)


class UnknownEstimator(ValueError):
    """There is no estimator of this name, or it has no such parameter. The text names what there is."""


def make(name: str, parameters: Parameters, seed: int) -> Estimator:
    """Return an untrained estimator with its own defaults and `parameters` over them. Raises UnknownEstimator.

    No class weights: they would make a probability something else. No threads: sums in another order are other
    numbers, and a stored model has to give the same ones for ever.
    """
    if name not in _MAKERS:
        raise UnknownEstimator(f"there is no estimator {name!r}; there are {', '.join(NAMES)}")
    for refused, why in REFUSED.items():
        if refused in parameters:
            raise UnknownEstimator(f"{refused} is not used here: {why}")
    maker = _MAKERS[name]
    try:
        model: Estimator = getattr(import_module(maker.module), maker.name)(
            **{**maker.defaults, **parameters, "random_state": seed}
        )
    except TypeError as error:
        raise UnknownEstimator(f"{name}: {error}") from error
    return _behind_a_scaler(model) if maker.scaled else model


def _behind_a_scaler(model: Estimator) -> Estimator:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline: Estimator = make_pipeline(StandardScaler(), model)
    return pipeline


def probability(model: Estimator, rows: Floats) -> Floats:
    """Return P(reversal) of each row as (n,); an empty batch gives an empty answer."""
    if not len(rows):
        return rows[:, 0]
    return model.predict_proba(rows)[:, 1]
