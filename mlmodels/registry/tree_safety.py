"""Whether the trees of a model stay inside their own arrays. Pure.

scikit-learn follows the child and feature numbers of a tree without looking: one that points outside reads foreign
memory or ends the process, and one that points backwards never ends. A tree grown by scikit-learn always has its
children after itself.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
LEAF = -1


class _Tree(Protocol):
    """scikit-learn's `Tree`, as far as it is checked."""

    node_count: int
    capacity: int
    n_features: int
    children_left: Numbers
    children_right: Numbers
    feature: Numbers
    value: NDArray[np.float64]


class _Predictor(Protocol):
    """scikit-learn's `TreePredictor`."""

    nodes: NDArray[np.void]


class _Boosting(Protocol):
    """scikit-learn's `GradientBoostingClassifier`."""

    estimators_: NDArray[np.object_]
    n_trees_per_iteration_: int


class BadTree(ValueError):
    """A tree points outside its arrays, or in circles."""


def check(model: object, features: int) -> None:
    """Raise BadTree unless every tree of `model` can be walked safely with rows of `features` numbers."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    for part in parts(model):
        if isinstance(part, Tree):
            _check_tree(part, features)
        elif isinstance(part, TreePredictor):
            _check_predictor(part, features)
        elif isinstance(part, GradientBoostingClassifier):
            _check_stages(part)


def parts(model: object) -> Iterator[object]:
    """Yield a model and all that hangs on it: attributes, and items of dicts, lists and arrays of objects."""
    waiting, seen = [model], {id(model)}
    while waiting:
        part = waiting.pop()
        yield part
        for item in _items(part):
            if id(item) not in seen and not isinstance(item, str | int | float | type(None)):
                seen.add(id(item))
                waiting.append(item)


def _items(part: object) -> list[object]:
    if isinstance(part, np.ndarray):
        return list(part.flat) if part.dtype == object else []
    if isinstance(part, list | tuple):
        return list(part)
    return list((part if isinstance(part, dict) else getattr(part, "__dict__", {})).values())


def _check_stages(model: _Boosting) -> None:
    # It adds up tree by tree in a table of `n_trees_per_iteration_` columns, without looking where a column ends.
    if model.estimators_.ndim != 2 or model.estimators_.shape[1] != 1 or model.n_trees_per_iteration_ != 1:
        raise BadTree("it has more than one tree a step, which two classes don't need")


def _check_tree(tree: _Tree, features: int) -> None:
    # Before any array is looked at: they are views of `node_count` rows.
    if not 1 <= tree.node_count <= tree.capacity or tree.n_features != features:
        raise BadTree(f"{tree.node_count} nodes of {tree.capacity}, {tree.n_features} features of {features}")
    left, right = tree.children_left, tree.children_right
    if ((left == LEAF) != (right == LEAF)).any():
        raise BadTree("a node has one child")
    inner = left != LEAF
    _check_children(inner, left, right, tree.feature, features)
    if not np.isfinite(tree.value).all():
        raise BadTree("a value is not a number")


def _check_predictor(predictor: _Predictor, features: int) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    nodes = predictor.nodes
    if nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes.ndim != 1 or not len(nodes):
        raise BadTree("its nodes are not nodes")
    if nodes["is_categorical"].any():
        raise BadTree("it splits by categories, which candles don't have")
    inner = nodes["is_leaf"] == 0
    left, right = (nodes[side].astype(np.int64) for side in ("left", "right"))
    _check_children(inner, left, right, nodes["feature_idx"], features)
    if not np.isfinite(nodes["value"]).all():
        raise BadTree("a value is not a number")


def _check_children(inner: Numbers, left: Numbers, right: Numbers, feature: Numbers, features: int) -> None:
    own, count = np.flatnonzero(inner), len(inner)
    for child in (left[inner], right[inner]):
        if (child <= own).any() or (child >= count).any():
            raise BadTree("a child is outside the tree or before its parent")
    if (feature[inner] < 0).any() or (feature[inner] >= features).any():
        raise BadTree("a node asks for a feature that there is not")
