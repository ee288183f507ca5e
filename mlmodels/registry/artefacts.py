"""Artefacts: models as bytes in the database, sealed, and opened only if the seal is ours.

The seal is an HMAC with a key outside the database, checked before anything looks into the bytes: whoever can
write to the table can't make the desk parse what they wrote. What is opened may be made of known types only, must
come from the same scikit-learn, and must give the same probabilities for its golden rows, bit for bit.

scikit-learn and skops are imported when the first model is packed or opened: most processes never do.
"""

import hashlib
import hmac
import io
import platform
import threading
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from django.conf import settings

from mlmodels.models import Artefact, ModelVersion
from mlmodels.registry import tree_safety

if TYPE_CHECKING:
    from mlmodels.pipeline.estimators import Estimator
    from mlmodels.pipeline.features import Floats

FORMAT = 1
#: Beyond what skops trusts by itself (estimators of scikit-learn, their losses, numpy's arrays).
TRUSTED = frozenset(
    {"sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"}
)
LIBRARIES = ("scikit-learn", "skops", "numpy")
LARGEST = 256 * 1024**2  # bytes, inflated
KEPT = 4
_SAFE = "Nothing of it was run and no other model is touched."
_DO = "Train a new one (./mem retrain), or import it again."


class BadArtefact(Exception):
    """A stored model can't be used. The text says what happened, what is safe and what to do."""


class MissingArtefact(BadArtefact):
    """The version has no bytes."""


class ForgedArtefact(BadArtefact):
    """The seal does not fit: the bytes were changed, or sealed with another key. They were not parsed."""


class IncompatibleArtefact(BadArtefact):
    """It is ours, but the libraries of today can't be trusted to make the same model of it."""


class Golden(TypedDict):
    """Rows of features, and the probabilities that must come out of the model, bit for bit."""

    rows: list[list[float]]
    probabilities: list[float]


@dataclass(frozen=True)
class Packed:
    """What a row of Artefact holds besides its owner and its seal."""

    format: int
    data: bytes
    libraries: dict[str, str]
    golden: Golden


def pack(model: "Estimator", golden_rows: "Floats") -> Packed:
    """Return `model` as bytes with the probabilities of `golden_rows` (n, k).

    Raises BadArtefact if it could not be opened again with the same probabilities.
    """
    import skops.io

    data = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED)
    rows = np.asarray(golden_rows, float) + 0.0  # PostgreSQL's JSON knows no -0.0
    if not len(rows) or not np.isfinite(rows).all():
        raise BadArtefact(
            "A model is kept only with golden rows, and those are finite numbers. Nothing was stored."
        )
    golden: Golden = {"rows": rows.tolist(), "probabilities": _probabilities(model, rows).tolist()}
    _reproduce(parse(data), golden)
    return Packed(FORMAT, data, libraries(), golden)


def store(version: ModelVersion, model: "Estimator", golden_rows: "Floats") -> Artefact:
    """Pack `model` as the artefact of `version`, in the caller's transaction. Raises BadArtefact."""
    return keep(version, pack(model, golden_rows))


def keep(version: ModelVersion, packed: Packed) -> Artefact:
    """Seal a packed model and write it as the artefact of `version`, in the caller's transaction."""
    digest = seal(version.name, packed.format, packed.data)
    return Artefact.objects.create(version=version, digest=digest, **vars(packed))


def unpack(artefact: Artefact) -> "Estimator":
    """Return the model of a stored artefact. Raises ForgedArtefact or IncompatibleArtefact."""
    data = bytes(artefact.data)
    if not hmac.compare_digest(seal(artefact.version.name, artefact.format, data), bytes(artefact.digest)):
        raise ForgedArtefact(
            "The stored model does not carry this desk's seal: its bytes were changed, or are another version's, "
            f"or ARTEFACT_KEY is another than the one it was stored with. It was not opened. {_SAFE} {_DO}"
        )
    if artefact.format != FORMAT:
        raise _incompatible(f"it is in format {artefact.format}, and this desk reads format {FORMAT}")
    theirs, ours = artefact.libraries.get("scikit-learn"), installed("scikit-learn")
    if theirs != ours:
        raise _incompatible(f"it was made by scikit-learn {theirs}, and this desk runs {ours}")
    model = parse(data)
    _reproduce(model, artefact.golden)
    return model


def parse(data: bytes) -> "Estimator":
    """Return the model in skops bytes that are sealed, or that come from the importer's own process.

    Raises IncompatibleArtefact for other types than the trusted ones, another scikit-learn, and trees that point
    outside themselves.
    """
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        _check_size(data)
        if strange := set(skops.io.get_untrusted_types(data=data)) - TRUSTED:
            raise _incompatible(f"it is made of {', '.join(sorted(strange))}, which no model of this desk is")
        with _one_at_a_time, warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            model = skops.io.loads(data, trusted=sorted(TRUSTED))
        tree_safety.check(model, int(model.n_features_in_))
    except BadArtefact:
        raise
    except Exception as error:  # skops and scikit-learn raise whatever a missing attribute leads to
        raise _incompatible(f"{type(error).__name__}: {error}") from error
    return model  # type: ignore[no-any-return]


def load(version: ModelVersion) -> "Estimator":
    """Return the model of `version`, from this process's few last ones if it is among them. Raises BadArtefact."""
    digest = Artefact.objects.filter(version=version).values_list("digest", flat=True).first()
    if digest is None:
        raise MissingArtefact(
            f"The version {version.name} has no stored model: somebody removed it. {_SAFE} {_DO}"
        )
    return _loaded.get((version.pk, bytes(digest)))


def seal(owner: str, layout: int, data: bytes) -> bytes:
    """Return the HMAC-SHA256 of the bytes of the version named `owner`, in a layout; no other may bear it."""
    return hmac.new(settings.ARTEFACT_KEY.encode(), f"{owner}:{layout}:".encode() + data, hashlib.sha256).digest()


def libraries() -> dict[str, str]:
    """Return the versions that make models here."""
    return {"python": platform.python_version()} | {name: installed(name) for name in LIBRARIES}


class _Loaded:
    """The last few models of this process, by version and seal. Threads share it."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[int, bytes], Estimator] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, bytes]) -> "Estimator":
        """Return the model, opening it if need be; two threads that need the same one open it once."""
        with self._lock:
            if key not in self._models:
                self._models[key] = unpack(Artefact.objects.select_related("version").get(version_id=key[0]))
            self._models.move_to_end(key)
            while len(self._models) > KEPT:
                self._models.popitem(last=False)
            return self._models[key]

    def forget(self) -> None:
        """Drop all of them."""
        with self._lock:
            self._models.clear()


_loaded = _Loaded()
# Filters of warnings belong to the whole process, not to a thread.
_one_at_a_time = threading.Lock()
forget = _loaded.forget


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > LARGEST:
        raise _incompatible(f"it would take {size:,} bytes")


def _reproduce(model: "Estimator", golden: Golden) -> None:
    rows, wanted = np.array(golden["rows"], float), np.array(golden["probabilities"], float)
    if not len(rows) or not np.array_equal(_probabilities(model, rows), wanted):
        raise _incompatible("it does not give the probabilities that it gave when it was stored")


def _probabilities(model: "Estimator", rows: "Floats") -> "Floats":
    return model.predict_proba(rows)[:, 1]


def _incompatible(reason: str) -> IncompatibleArtefact:
    return IncompatibleArtefact(f"The stored model can't be used: {reason}. {_SAFE} {_DO}")
