"""Writing a version as a model folder of 2.5, for its tools and as a copy that can be imported again."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from mlmodels.legacy import folder as folders
from mlmodels.models import ModelVersion
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.registry import artefacts


class Fitted(Protocol):
    """An estimator of scikit-learn, as far as it is exported."""

    def get_params(self, deep: bool) -> dict[str, object]:
        """Return its parameters."""


class CannotExport(Exception):
    """Nothing was written; the text says why."""


def export(version: ModelVersion, target: Path) -> list[Path]:
    """Write model, scaler (if it has one), config.json and model_metrics.json into the new folder `target`.

    The folder appears whole or not at all. Returns its files. Raises CannotExport where `target` is not empty, and
    BadArtefact.
    """
    _check_empty(target)
    model = artefacts.load(version)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write(temporary, version, model)
        temporary.replace(target)  # an empty folder in its place is replaced, one that was filled meanwhile is not
    except OSError as error:
        raise CannotExport(f"{target} can't be written: {error.strerror}. Nothing is left there.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(target.iterdir())


def _check_empty(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise CannotExport(f"{target} is no folder. Nothing was written.")
    if target.is_dir() and any(target.iterdir()):
        raise CannotExport(f"{target} is not empty. Nothing was written: name a new folder.")


def _write(folder: Path, version: ModelVersion, model: object) -> None:
    import joblib

    scaler, rest = _parted(model)
    joblib.dump(rest, folder / folders.MODEL, compress=3)
    if scaler is not None:
        joblib.dump(scaler, folder / folders.SCALER)
    for name, content in ((folders.CONFIG, config(version, rest)), (folders.METRICS[0], metrics(version))):
        (folder / name).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _parted(model: Any) -> tuple[object, Fitted]:
    """Return scaler and model of a pipeline of the two; no scaler for anything else."""
    steps = [part for _, part in getattr(model, "steps", [])]
    if len(steps) == 2 and hasattr(steps[0], "transform"):
        return steps[0], steps[1]
    return None, model


def config(version: ModelVersion, model: Fitted) -> dict[str, object]:
    """Return the content of config.json, by the inventory's keys."""
    recipe = version.recipe
    return {
        "version": version.name,
        "timestamp": version.name,
        "model_type": type(model).__name__,
        "features": features(version),
        "n_features": len(features(version)),
        "parameters": _plain(model.get_params(deep=False)),
        "symbols": _symbols(version),
        "label": recipe["label"],
        "trained_at": _trained_at(version),
        "trained_from": _iso(version.trained_from),
        "trained_to": _iso(version.trained_to),
        "threshold": version.threshold,
        "schema": version.schema,
        "schema_hash": version.schema_hash,
    }


def metrics(version: ModelVersion) -> dict[str, object]:
    """Return the content of model_metrics.json: scores on held-out rows, or none. Never what a folder claimed."""
    holdout = version.report.get("holdout") or {}
    scores = holdout.get("all_rows") or {}
    content = {name: scores.get(name) for name in folders.SCORES}
    content |= {"trained_at": _trained_at(version), "training_rows": version.training_rows}
    content |= {name: (scores.get(name) or {}).get("value") for name in ("pr_auc", "log_loss")}
    return content | {
        "base_rate": scores.get("base_rate"),
        "accuracy_of_never": scores.get("accuracy_of_never"),
        "rows": scores.get("rows"),
        "from": _rows(holdout) if scores else "never scored here",
        "candidates": holdout.get("model"),
    }


def features(version: ModelVersion) -> list[str]:
    """Return the names of the features that a version looks at. Raises CannotExport if they are not known."""
    listed = version.claimed.get("features")
    if listed:
        return list(listed)
    if version.schema not in SCHEMAS:
        raise CannotExport(f"The features of {version.name} ({version.schema}) are not known here any more.")
    return list(SCHEMAS[version.schema].features)


def _rows(holdout: Mapping[str, Any]) -> str:
    period = holdout["period"]
    return f"all held-out rows from {period['first']} to {period['last']} (UTC), {period['days']} days"


def _symbols(version: ModelVersion) -> list[str]:
    read = version.report.get("data") or {}
    return version.claimed.get("symbols") or [row["symbol"] for row in read.get("symbols", [])]


def _trained_at(version: ModelVersion) -> str:
    return str(version.claimed.get("trained_at") or version.created_at.isoformat())


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _plain(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters that JSON can hold."""
    return {key: value for key, value in parameters.items() if isinstance(value, str | int | float | None)}
