"""The process in which files of 2.5 are read. It is given bytes, and gives back bytes; see `parent` for both.

It has no settings, no secrets and no database. Before it looks at the first byte it closes every door behind
itself.
"""

import io
import json
import os
import sys
import warnings
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlmodels.legacy import inflating, model_builder, safe_unpickler, sandbox
from mlmodels.legacy.errors import BadFolder, RefusedFile
from mlmodels.registry import tree_safety

GOLDEN_ROWS = 32
_SAFE = "Nothing in it was run and nothing was stored."
#: An estimator or a scaler of scikit-learn, which has no types.
Part = Any
Floats = NDArray[np.float64]


def main() -> None:
    """Read the request from stdin, write the answer to stdout: a line of JSON, and the model as a skops file."""
    sandbox.bound()
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no part of the answer
    files, features = _request(sys.stdin.buffer)
    rehearse()
    sandbox.close_doors()
    try:
        head, data = convert(files, features)
    except BadFolder as error:
        head, data = {"refused": str(error), "hostile": isinstance(error, RefusedFile)}, b""
    except MemoryError:
        head, data = {"refused": f"The model needs more memory than a model may. {_SAFE}", "hostile": True}, b""
    with os.fdopen(out, "wb") as stream:
        stream.write(json.dumps(head).encode() + b"\n" + data)
    os._exit(0)  # no destructor of anything that was built


def _request(stream: BinaryIO) -> tuple[dict[str, bytes], list[str]]:
    head = json.loads(stream.readline())
    return {name: stream.read(size) for name, size in head["files"]}, head["features"]


def convert(files: dict[str, bytes], features: list[str]) -> tuple[dict[str, object], bytes]:
    """Return the description of the model in `files`, and the model. Raises BadFolder or RefusedFile."""
    import skops.io

    described = {name: _survey(name, data) for name, data in files.items()}  # all of them before any is built
    builder = model_builder.Builder()
    parts = [_build(builder, name, part) for name, part in described.items()]
    model = _together(parts, builder, features)
    golden, probabilities = _try(model, parts, builder)
    data = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED)
    head = {
        "versions": sorted(builder.versions),
        "estimator": model_builder.MODELS[_name(_last(model))],
        "golden": golden.tolist(),
        "probabilities": probabilities.tolist(),
    }
    return head, data


def _survey(name: str, data: bytes) -> object:
    """Return what a file describes, having compared every name in it with the list."""
    try:
        described, names, stand_ins, wrong = safe_unpickler.read(inflating.inflate(data))
    except inflating.TooLarge as error:
        raise RefusedFile(f"{name}: {error}, which no model of this kind does. {_SAFE}") from error
    except inflating.NotInflated as error:
        raise BadFolder(f"{name} can't be read: {error}. {_SAFE} Save it anew with joblib.") from error
    if strange := sorted(".".join(name) for name in names - model_builder.ALLOWED):
        raise RefusedFile(_naming(name, strange, model_builder.versions(stand_ins)))
    if isinstance(wrong, safe_unpickler.NotFollowed):
        raise RefusedFile(f"{name} is not what joblib writes: {wrong}. {_SAFE}")
    if wrong is not None:
        raise BadFolder(f"{name} is damaged, cut off, or no joblib file ({wrong!r:.120}). {_SAFE} Copy it anew.")
    return described


def _naming(name: str, strange: list[str], versions: set[str]) -> str:
    shown = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")
    text = f"{name} wants to use {shown:.300}, which no model that can be imported needs. {_SAFE}"
    if versions and all(item.startswith(("sklearn.", "numpy.")) for item in strange):
        return f"{text} It was made by scikit-learn {', '.join(sorted(versions))}; train that model anew here."
    return f"{text} Do not load this file with joblib."


def _build(builder: model_builder.Builder, name: str, described: object) -> Part:
    try:
        return builder.build(described)
    except safe_unpickler.DAMAGED as error:
        raise BadFolder(f"{name} can't be made a model: {error!s:.200}.{_made_by(builder)} {_SAFE}") from error


def _together(parts: list[Part], builder: model_builder.Builder, features: list[str]) -> Part:
    """Return scaler and model as one model of all features. Raises BadFolder where they don't belong together."""
    from sklearn.pipeline import Pipeline

    model, scalers = parts[0], parts[1:]
    if _name(_last(model)) not in model_builder.MODELS or any(
        _name(part) not in model_builder.SCALERS for part in scalers
    ):
        raise BadFolder(f"The files are not a model and its scaler, but {', '.join(map(_kind, parts))}. {_SAFE}")
    for names in builder.feature_names - {tuple(features)}:
        raise BadFolder(
            f"config.json lists other features, or in another order, than the model was trained with "
            f"({', '.join(names):.300}). {_SAFE} Put the list in config.json right."
        )
    whole = Pipeline([("scaler", scalers[0]), ("model", model)]) if scalers else model
    for part in parts:
        count = getattr(part, "n_features_in_", None)
        if count != len(features):
            mismatch = f"{_kind(part)} takes {count} features, by config.json there are {len(features)}"
            raise BadFolder(f"{mismatch}. {_SAFE}")
    return whole


def golden_rows(parts: list[Part], count: int) -> Floats:
    """Return rows (n, `count`) about where the scaler places rows."""
    rows: Floats = np.random.default_rng(42).normal(size=(GOLDEN_ROWS, count))
    for scaler in parts[1:]:
        rows = scaler.inverse_transform(rows)
    return rows


def _try(model: Part, parts: list[Part], builder: model_builder.Builder) -> tuple[Floats, Floats]:
    """Return golden rows and the model's probabilities of them: the first time that it is used is here."""
    try:
        tree_safety.check(model, model.n_features_in_)
        rows = golden_rows(parts, model.n_features_in_)
        classes = [int(item) for item in model.classes_]
        probabilities = model.predict_proba(rows)
    except tree_safety.BadTree as error:
        raise RefusedFile(f"A tree of the model is forged: {error}. {_SAFE}") from error
    except Exception as error:  # whatever another version's attributes lead to
        raise BadFolder(f"The model does not work here: {error!s:.200}.{_made_by(builder)} {_SAFE}") from error
    if classes != [0, 1] or probabilities.shape != (len(rows), 2) or not np.isfinite(probabilities).all():
        raise BadFolder(
            f"The model does not give the probability of a reversal: its classes are {classes}. {_SAFE}"
        )
    return rows, probabilities[:, 1]


def _made_by(builder: model_builder.Builder) -> str:
    import sklearn

    others = sorted(builder.versions - {sklearn.__version__})
    return f" It was made by scikit-learn {', '.join(others)}, this is {sklearn.__version__}." if others else ""


def _last(model: Part) -> Part:
    return model.steps[-1][1] if _name(model) == model_builder.PIPELINE and model.steps else model


def _name(part: Part) -> tuple[str, str]:
    return type(part).__module__, type(part).__name__


def _kind(part: Part) -> str:
    return type(part).__name__


def rehearse() -> None:
    """Do once with a model of our own what will be done with theirs: it imports all that is imported late."""
    import skops.io
    from sklearn.ensemble import (
        AdaBoostClassifier,
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(0).normal(size=(40, 2))
    kinds = (GradientBoostingClassifier, RandomForestClassifier, AdaBoostClassifier)
    models = [kind(n_estimators=1) for kind in kinds] + [HistGradientBoostingClassifier(max_iter=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in [*models, make_pipeline(StandardScaler(), LogisticRegression())]:
            model.fit(rows, rows[:, 0] > 0).predict_proba(rows)
            tree_safety.check(model, 2)
            skops.io.dump(model, io.BytesIO(), compression=zipfile.ZIP_DEFLATED)
