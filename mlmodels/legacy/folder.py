"""A model folder of 2.5: what is in it, in all its dialects, without looking into its joblib files."""

import hashlib
import json
import math
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from mlmodels.legacy.errors import BadFolder, shown
from mlmodels.pipeline.config import Parameters
from mlmodels.pipeline.features import V25
from mlmodels.pipeline.labels import PROFILES, LabelRule

MODEL, SCALER = "reversal_model.joblib", "reversal_scaler.joblib"
SCALERS = (SCALER, "scaler.joblib")
CONFIG, LATEST = "config.json", "latest"
METRICS = ("model_metrics.json", "metrics.json")
SCORES = ("accuracy", "precision", "recall", "f1")
NAME = re.compile(r"\d{8}_\d{6}")
LARGEST_MODEL, LARGEST_JSON = 128 * 1024**2, 1024**2  # bytes
MOST_FEATURES, LONGEST_NAME, LONGEST_NUMBER = 500, 64, 18
_SAFE = "Nothing was stored."


@dataclass(frozen=True)
class Folder:
    """What a folder brings. `files` are the model's bytes and its scaler's, in this order; `claimed` is unproven.

    `digest` is the same for the same model with the same features.
    """

    name: str
    files: Mapping[str, bytes]
    features: tuple[str, ...]
    label: LabelRule
    parameters: Parameters
    claimed: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the files and the list of features."""
        whole = hashlib.sha256(json.dumps(self.features).encode())
        for data in self.files.values():
            whole.update(hashlib.sha256(data).digest())
        return whole.hexdigest()


def read(path: Path) -> Folder:
    """Return what the folder at `path` (or the one that `latest` there names) brings. Raises BadFolder."""
    folder = find(path)
    config = _json(folder, CONFIG)
    features = _features(config)
    model = _bytes(folder, MODEL)
    if model is None:
        raise BadFolder(f"{folder} has no {MODEL}. {_SAFE} Give the folder of one model, such as 20251020_215713.")
    scalers = {name: data for name in SCALERS if (data := _bytes(folder, name)) is not None}
    scaler = dict(list(scalers.items())[:1])
    claimed = _claimed(folder, config)
    return Folder(
        shown(folder.name),
        {MODEL: model, **scaler},
        features,
        _label(config),
        _parameters(config),
        claimed,
        (*_assumed(config), *_notes(claimed, scaler, scalers)),
    )


def find(path: Path) -> Path:
    """Return the folder that is meant: `path`, where a link or file `latest` points, or `latest` in it."""
    if path.is_dir() and not (path / CONFIG).exists() and (path / LATEST).exists():
        path = path / LATEST
    if path.is_file() and path.name == LATEST:
        name = path.read_bytes()[:256].decode(errors="replace").strip()
        path = path.parent / (Path(name).name or LATEST)
    if not path.is_dir():
        raise BadFolder(f"There is no folder {path}. {_SAFE}")
    return path.resolve()


def _bytes(folder: Path, name: str, largest: int = LARGEST_MODEL) -> bytes | None:
    """Return a file of the folder, or None if there is none."""
    path = folder / name
    if not path.exists():
        return None
    if path.resolve().parent != folder or not path.is_file():
        raise BadFolder(f"{name} is not a file of this folder, but leads out of it. {_SAFE} Copy the file itself.")
    if path.stat().st_size > largest:
        raise BadFolder(f"{name} is larger than {largest:,} bytes. {_SAFE}")
    with path.open("rb") as file:
        return file.read(largest + 1)


def _json(folder: Path, name: str) -> dict[str, object]:
    data = _bytes(folder, name, LARGEST_JSON)
    if data is None:
        raise BadFolder(f"{folder} has no {name}. {_SAFE}")
    try:
        content = json.loads(data, parse_constant=_no_number, parse_float=_finite, parse_int=_small)
    except (ValueError, RecursionError) as error:
        raise BadFolder(f"{name} can't be read: {error!s:.200}. {_SAFE}") from error
    if not isinstance(content, dict):
        raise BadFolder(f"{name} holds no object. {_SAFE}")
    return content


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number: write null instead")


def _finite(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _no_number(text[:20])


def _small(text: str) -> int:
    return int(text) if len(text) <= LONGEST_NUMBER else _no_number(f"{text[:20]}…")


def _features(config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the features that are listed; the training script of 2.5 listed none, and always used its twelve."""
    if "features" not in config:
        return V25.features
    listed = config["features"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_FEATURES:
        raise BadFolder(f"{CONFIG} has no list of features: what the model looks at is unknown. {_SAFE}")
    if not all(isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME and name.isprintable() for name in listed):
        raise BadFolder(f"{CONFIG} has features that are no names. {_SAFE}")
    if twice := sorted({name for name in listed if listed.count(name) > 1}):
        raise BadFolder(f"{CONFIG} lists {', '.join(twice)} more than once. {_SAFE}")
    return tuple(listed)


def _assumed(config: Mapping[str, object]) -> tuple[str, ...]:
    if "features" in config:
        return ()
    return (
        f"{CONFIG} lists no features: it was taken to use the twelve of 2.5's training script, in their order.",
    )


def _label(config: Mapping[str, object]) -> LabelRule:
    """Return the label that the folder names, as we write it; else the inventory's, by which 2.5 trained."""
    stored = config.get("label")
    if not isinstance(stored, dict):
        return PROFILES["inventory"]
    try:
        rule = LabelRule(**stored)
        return replace(rule, window=operator.index(rule.window), look_back=operator.index(rule.look_back))
    except (TypeError, ValueError) as error:
        raise BadFolder(f"{CONFIG} has a label that can't be used: {error!s:.200}. {_SAFE}") from error


def _claimed(folder: Path, config: Mapping[str, object]) -> dict[str, Any]:
    """Return the scores that each file of the folder claims; those of the metrics' own file come first."""
    by_file = {name: _json(folder, name) for name in METRICS if (folder / name).exists()}
    by_file[CONFIG] = {"validation_metrics": _mapping(config, "metrics")}
    claims = {name: scores for name, content in by_file.items() if (scores := _scores(content))}
    first = next(iter(claims), None)
    claimed: dict[str, Any] = {"from": first, **claims[first]} if first else {}
    for key in ("trained_at", "training_rows", "best_model"):
        contents = (*by_file.values(), config)
        values = (value for content in contents if isinstance(value := content.get(key), int | str))
        if (value := next(values, None)) is not None:
            claimed[key] = value if isinstance(value, int) else shown(value)
    claimed["others"] = {name: scores for name, scores in claims.items() if name != first}
    claimed |= {key: shown(str(config[key])) for key in ("model_type", "data_source") if config.get(key)}
    symbols = config.get("symbols")
    claimed["symbols"] = [shown(str(name), 40) for name in symbols[:100]] if isinstance(symbols, list) else []
    return claimed


def _scores(content: Mapping[str, object]) -> dict[str, float]:
    inner = content.get("validation_metrics")
    table = inner if isinstance(inner, dict) else content
    return {key: float(value) for key in SCORES if _is_number(value := table.get(key))}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _mapping(config: Mapping[str, object], key: str) -> dict[str, object]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _parameters(config: Mapping[str, object]) -> Parameters:
    """Return the parameters that are numbers, words or nothing; the model itself knows all of them."""
    kept = {shown(key): value for key, value in _mapping(config, "parameters").items()}
    return {
        key: shown(value) if isinstance(value, str) else value
        for key, value in kept.items()
        if isinstance(value, str | int | float | None)
    }


def _notes(claimed: Mapping[str, Any], used: Mapping[str, bytes], scalers: Mapping[str, bytes]) -> Iterator[str]:
    if not claimed.get("from"):
        yield "The folder claims no scores."
    for name, scores in claimed["others"].items():
        if differing := [key for key, value in scores.items() if value != claimed.get(key)]:
            differences = ", ".join(
                f"{key} {scores[key]:.4g} against {claimed.get(key, math.nan):.4g}" for key in differing
            )
            yield f"Its own files disagree: {name} says {differences} in {claimed['from']}."
    if not used:
        yield "The folder has no scaler: the model is given the features as they are."
    for name in scalers:
        if name not in used and scalers[name] != next(iter(used.values())):
            yield f"{name} is another scaler than {next(iter(used))}; it was left aside."
