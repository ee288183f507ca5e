"""The desk's side of reading a file of 2.5: start the process, give it the bytes, check its answer."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from mlmodels.legacy.errors import BadFolder, RefusedFile, shown
from mlmodels.legacy.model_builder import MODELS
from mlmodels.pipeline.estimators import Estimator
from mlmodels.registry import artefacts

SECONDS = 90  # of wall time
LARGEST_ANSWER = 128 * 1024**2  # bytes
_ROOT = Path(__file__).resolve().parent.parent.parent
_CODE = "import sys; sys.path.append(sys.argv[1]); from mlmodels.legacy.sandbox_worker import main; main()"
_SAFE = "Nothing was stored."


@dataclass(frozen=True)
class Converted:
    """A model of 2.5 in our own form. `versions` are those of the scikit-learn that made it."""

    packed: artefacts.Packed
    model: Estimator
    estimator: str
    versions: tuple[str, ...]


def convert(files: Mapping[str, bytes], features: Sequence[str]) -> Converted:
    """Return the model in `files` (the model's first, then its scaler's), packed.

    Raises BadFolder, and RefusedFile where a file refers to something that no model needs.
    """
    head, data = _ask(files, features)
    if "refused" in head:
        raise (RefusedFile if head.get("hostile") else BadFolder)(shown(str(head["refused"]), 1000))
    try:
        model = artefacts.parse(data)
        golden = np.array(head["golden"], float)
        packed = artefacts.pack(model, golden)
        same = packed.golden["probabilities"] == head["probabilities"]
        versions = tuple(shown(str(item), 40) for item in head["versions"][:10])
        estimator = next(name for name in MODELS.values() if name == head["estimator"])
    except (artefacts.BadArtefact, KeyError, TypeError, ValueError, StopIteration) as error:
        raise BadFolder(f"The converted model can't be used: {error} {_SAFE}") from error
    if not same:
        raise BadFolder(f"The converted model gives other probabilities than the original. {_SAFE}")
    return Converted(packed, model, estimator, versions)


def _ask(files: Mapping[str, bytes], features: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """Run the process and return its answer. Raises BadFolder if it dies, hangs or answers nonsense."""
    head = {"files": [[name, len(data)] for name, data in files.items()], "features": list(features)}
    with tempfile.TemporaryFile() as request, tempfile.TemporaryDirectory() as folder:
        request.write(json.dumps(head).encode() + b"\n" + b"".join(files.values()))
        request.seek(0)
        answer = _run(request, folder)
    line, _, data = answer.partition(b"\n")
    try:
        answered = json.loads(line)
    except (ValueError, RecursionError):
        answered = None
    if not isinstance(answered, dict):
        raise BadFolder(
            f"The process that reads the model ended without an answer: the file is damaged or hostile. {_SAFE}"
        )
    return answered, data


def _run(request: IO[bytes], folder: str) -> bytes:
    output, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", _CODE, str(_ROOT)],
        stdin=request,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        return _read(output)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(output)


def _read(output: int) -> bytes:
    """Return all that the process writes, within time and size."""
    answer, until = bytearray(), time.monotonic() + SECONDS
    with selectors.DefaultSelector() as ready:
        ready.register(output, selectors.EVENT_READ)
        while ready.select(max(0.0, until - time.monotonic())):
            part = os.read(output, 1 << 16)
            if not part:
                return bytes(answer)
            answer += part
            if len(answer) > LARGEST_ANSWER:
                raise RefusedFile(f"The model takes more than {LARGEST_ANSWER:,} bytes. {_SAFE}")
    raise RefusedFile(f"Reading the model took longer than {SECONDS} s, which no honest model does. {_SAFE}")
