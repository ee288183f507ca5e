"""Secrets made at first start and kept in one file that only its owner can read."""

import json
import os
import secrets
from pathlib import Path

NAMES = ("SECRET_KEY", "TOKEN_PEPPER")


def load_or_create(data: Path) -> dict[str, str]:
    """Return the secrets of `data/secrets.json`, making the folder (0700) and file (0600) first.

    Values are URL-safe text of 64 random bytes. Two processes that start at once agree: the file is
    linked into place atomically, and the loser reads the winner's.
    """
    path = data / "secrets.json"
    if not path.exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path, {name: secrets.token_urlsafe(64) for name in NAMES})
    values: dict[str, str] = json.loads(path.read_text())
    return values


def _write_once(path: Path, values: dict[str, str]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(values, file)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
