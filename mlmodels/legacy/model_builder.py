"""From what a file describes to a model: by classes on a list and by numbers, never by the file's instructions.

Each entry of `_MAKERS` is one kind of thing that a scikit-learn model of two classes is made of. Random states and
losses are not taken from the file at all: the first are for training, the second are made anew.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mlmodels.legacy import arrays, safe_unpickler
from mlmodels.legacy.arrays import BadArray
from mlmodels.legacy.safe_unpickler import Name, Named, StandIn

MODELS: dict[Name, str] = {
    ("sklearn.ensemble._gb", "GradientBoostingClassifier"): "GradientBoosting",
    ("sklearn.ensemble._hist_gradient_boosting.gradient_boosting", "HistGradientBoostingClassifier"):
        "HistGradientBoosting",
    ("sklearn.ensemble._forest", "RandomForestClassifier"): "RandomForest",
    ("sklearn.ensemble._forest", "ExtraTreesClassifier"): "ExtraTrees",
    ("sklearn.ensemble._weight_boosting", "AdaBoostClassifier"): "AdaBoost",
    ("sklearn.linear_model._logistic", "LogisticRegression"): "LogisticRegression",
    ("sklearn.tree._classes", "DecisionTreeClassifier"): "DecisionTree",
}  # fmt: skip
SCALERS: set[Name] = {
    ("sklearn.preprocessing._data", name)
    for name in ("StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler")
}
PIPELINE = ("sklearn.pipeline", "Pipeline")
_INNER: set[Name] = {
    ("sklearn.tree._classes", "DecisionTreeRegressor"),
    ("sklearn.tree._classes", "ExtraTreeClassifier"),
    ("sklearn.dummy", "DummyClassifier"),
    ("sklearn.preprocessing._label", "LabelEncoder"),
    ("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"),
}
_LOSSES: set[Name] = {("sklearn._loss.loss", "HalfBinomialLoss"), ("sklearn._loss.loss", "ExponentialLoss")}
# Mentioned in files and never made: parts of random states and of losses.
_RANDOM: set[Name] = {
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._mt19937", "MT19937"),
    ("numpy.random._pcg64", "PCG64"),
    ("numpy.random.bit_generator", "SeedSequence"),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
}
_UNMADE: set[Name] = _RANDOM | {
    (module, name)
    for module in ("_loss", "sklearn._loss._loss")
    for name in ("CyHalfBinomialLoss", "CyExponentialLoss", "__pyx_unpickle_CyHalfBinomialLoss",
                 "__pyx_unpickle_CyExponentialLoss")
} | {("sklearn._loss.link", name) for name in ("Interval", "LogitLink", "HalfLogitLink")}  # fmt: skip
# Settings of the machine that trained it.
_LOCAL = {"n_jobs": None, "verbose": 0, "warm_start": False, "random_state": None}
NESTING = 12


class NotBuilt(ValueError):
    """What the file describes is not a model that can be built here."""


class Builder:
    """Builds one file's description. `versions` are those of scikit-learn that its parts claim to come from."""

    def __init__(self) -> None:
        self.versions: set[str] = set()
        self.feature_names: set[tuple[str, ...]] = set()
        self._done: dict[int, Any] = {}

    def build(self, described: object, depth: int = 0) -> Any:
        """Return the real thing. Raises NotBuilt, BadArray, or what scikit-learn raises of bad numbers."""
        if depth > NESTING:
            raise NotBuilt("it is nested too deeply")
        if described is None or isinstance(described, bool | int | float | str):
            return described
        if id(described) not in self._done:
            self._done[id(described)] = self._new(described, depth + 1)
        return self._done[id(described)]

    def _new(self, described: object, depth: int) -> Any:
        if isinstance(described, np.ndarray):
            return described
        if isinstance(described, list):
            return [self.build(item, depth) for item in described]
        if isinstance(described, tuple):
            return tuple(self.build(item, depth) for item in described)
        if isinstance(described, dict):
            return {_text(key): self.build(value, depth) for key, value in described.items()}
        if isinstance(described, StandIn) and described.name in _MAKERS:
            return _MAKERS[described.name](self, described, depth)
        what = ".".join(described.name) if isinstance(described, StandIn | Named) else type(described).__name__
        raise NotBuilt(f"it has {what} where no model has one")

    def _estimator(self, described: StandIn, depth: int) -> object:
        """Return an estimator with its fitted attributes; what is neither parameter nor such is left out."""
        estimator = _class(described.name)()
        state = self.build(self._state(described), depth)
        self.versions.add(str(state.pop("_sklearn_version", "unknown")))
        self._note_names(state.pop("feature_names_in_", None))
        known = vars(estimator)
        kept = {
            key: value
            for key, value in state.items()
            if key in known or (_is_fitted(key) and not hasattr(type(estimator), key))
        }
        vars(estimator).update(kept | {key: value for key, value in _LOCAL.items() if key in known})
        return estimator

    def _pipeline(self, described: StandIn, depth: int) -> object:
        steps = self.build(self._state(described).get("steps"), depth)
        if not isinstance(steps, list) or not all(isinstance(step, tuple) and len(step) == 2 for step in steps):
            raise NotBuilt("a pipeline without steps")
        return _class(PIPELINE)([(_text(name), part) for name, part in steps])

    def _tree(self, described: StandIn, depth: int) -> object:
        from sklearn.tree._tree import NODE_DTYPE

        features, classes, outputs = self.build(described.args, depth)
        state = self.build(self._state(described), depth)
        nodes, values = state["nodes"], state["values"]
        if (
            outputs != 1
            or not isinstance(classes, np.ndarray)
            or classes.shape != (1,)
            or not 1 <= classes[0] <= 2
        ):
            raise NotBuilt("a tree for something else than two classes")
        if nodes.dtype != NODE_DTYPE or nodes.ndim != 1 or state["node_count"] != len(nodes) or not len(nodes):
            raise NotBuilt("a tree whose nodes are laid out in another way")
        if values.shape != (len(nodes), 1, int(classes[0])) or values.dtype != np.float64:
            raise NotBuilt("a tree whose values don't fit its nodes")
        tree = _class(described.name)(int(features), classes.astype(np.intp), 1)
        tree.__setstate__({
            "max_depth": int(state["max_depth"]), "node_count": len(nodes),
            "nodes": np.ascontiguousarray(nodes), "values": np.ascontiguousarray(values),
        })  # fmt: skip
        return tree

    def _predictor(self, described: StandIn, depth: int) -> object:
        from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

        state = self.build(self._state(described), depth)
        nodes = state["nodes"].astype(PREDICTOR_RECORD_DTYPE, casting="same_kind")
        return _class(described.name)(nodes, state["binned_left_cat_bitsets"], state["raw_left_cat_bitsets"])

    def _loss(self, described: StandIn, depth: int) -> object:
        return _class(described.name)()

    def _nothing(self, described: StandIn, depth: int) -> None:
        return None

    def _scalar(self, described: StandIn, depth: int) -> object:
        dtype, data = described.args
        return arrays.from_bytes(_bytes(data), safe_unpickler.dtype_of(dtype), (1,), "C")[0]

    def _buffer(self, described: StandIn, depth: int) -> object:
        data, dtype, shape, order = described.args
        return arrays.from_bytes(_bytes(data), safe_unpickler.dtype_of(dtype), shape, order)

    def _array(self, described: StandIn, depth: int) -> object:
        state = described.state
        if not isinstance(state, tuple) or len(state) != 5:
            raise BadArray("an array without content")
        _, shape, dtype, by_column, content = state
        order = "F" if by_column is True else "C"
        if safe_unpickler.is_of_objects(dtype):
            return arrays.of_objects(self.build(content, depth), shape, order)
        return arrays.from_bytes(_bytes(content), safe_unpickler.dtype_of(dtype), shape, order)

    def _state(self, described: StandIn) -> dict[str, object]:
        if not isinstance(described.state, dict):
            raise NotBuilt(f"a {described.name[1]} without content")
        return described.state

    def _note_names(self, names: object) -> None:
        if isinstance(names, np.ndarray):
            self.feature_names.add(tuple(str(name) for name in names.ravel()))


_Maker = Callable[[Builder, StandIn, int], object]


def _by(maker: _Maker, names: Iterable[Name]) -> dict[Name, _Maker]:
    return dict.fromkeys(names, maker)


_MAKERS: dict[Name, _Maker] = {
    **_by(Builder._estimator, {*MODELS, *SCALERS, *_INNER}),
    **_by(Builder._pipeline, [PIPELINE]),
    **_by(Builder._tree, [("sklearn.tree._tree", "Tree")]),
    **_by(Builder._predictor, [("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor")]),
    **_by(Builder._loss, _LOSSES),
    **_by(Builder._nothing, _RANDOM),
    **_by(Builder._scalar, [("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar")]),
    **_by(Builder._buffer, [("numpy._core.numeric", "_frombuffer"), ("numpy.core.numeric", "_frombuffer")]),
    **_by(Builder._array, [("numpy._core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "_reconstruct")]),
}
#: Every name that a model's file may mention.
ALLOWED = frozenset({*_MAKERS, *_UNMADE, safe_unpickler.WRAPPER, safe_unpickler.DTYPE, ("numpy", "ndarray")})


def versions(stand_ins: Iterable[StandIn]) -> set[str]:
    """Return the versions of scikit-learn that parts of a file claim to come from."""
    states = (part.state for part in stand_ins if isinstance(part.state, dict))
    return {state["_sklearn_version"] for state in states if isinstance(state.get("_sklearn_version"), str)}


def _class(name: Name) -> Any:
    """Import a class of the list."""
    if name not in ALLOWED:
        raise NotBuilt(f"{'.'.join(name)} is not on the list")
    return getattr(importlib.import_module(name[0]), name[1])


def _is_fitted(key: str) -> bool:
    return key.startswith("_") != key.endswith("_") and not key.startswith("__")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise NotBuilt("a name that is no text")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise BadArray("numbers that are no bytes")
    return value
