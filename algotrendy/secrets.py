"""Secrets made at first start and kept in one file that only its owner can read."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("SECRET_KEY", "TOKEN_PEPPER", "ARTEFACT_KEY")


def load_or_create(data: Path) -> dict[str, str]:
    """Return the secrets of `data/secrets.json`, making the folder (0700) and file (0600) first.

    Values are URL-safe text of 64 random bytes. A file of an older version gets the names that it lacks. Two
    processes that start at once agree: one at a time looks and writes, and the file is replaced atomically.
    """
    path = data / "secrets.json"
    values = _read(path)
    if all(name in values for name in NAMES):
        return values
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(data):
        values = _read(path)
        missing = [name for name in NAMES if name not in values]
        if missing:
            values |= {name: secrets.token_urlsafe(64) for name in missing}
            replace(path, values)
    return values


def _read(path: Path) -> dict[str, str]:
    try:
        values: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return values


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here for this folder; the kernel frees the lock of one that dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace(path: Path, values: dict[str, str]) -> None:
    """Write `values` as the file of secrets `path` (0600), all of them or nothing."""
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(handle)
    temporary.replace(path)
