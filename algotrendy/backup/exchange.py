"""Putting a restored desk in the place of the old one: a few renames, written down before the first of them.

The supervisor asks for it at each start: a restore that was killed between two renames is finished, so that no
desk starts on half of one. Knows nothing of Django.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

JOURNAL = "restore.json"
STAGING = "restoring"
# What belongs together. The old queue goes aside as well: its nudges name rows of the old database.
PARTS = ("postgres", "secrets.json", "imports")
ASIDE = (*PARTS, "valkey")


def begin(data: Path, *, aside: tuple[str, ...] = ASIDE) -> Path:
    """Write down that the staging folder takes the place of `aside`, do it, and return where the old is."""
    old = data / f"replaced-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    journal = data / JOURNAL
    making = journal.with_suffix(".making")
    with making.open("w", encoding="utf-8") as file:
        json.dump({"old": old.name, "aside": [name for name in aside if (data / name).exists()]}, file)
        file.flush()
        os.fsync(file.fileno())
    making.rename(journal)
    finish(data)
    return old


def finish(data: Path) -> bool:
    """Finish an exchange that was begun, and return whether there was one. Doing it again changes nothing."""
    journal = data / JOURNAL
    try:
        state = json.loads(journal.read_text())
    except FileNotFoundError:
        return False
    old = data / Path(state["old"]).name
    old.mkdir(mode=0o700, exist_ok=True)
    for name in state["aside"]:
        if not (old / name).exists() and (data / name).exists():
            (data / name).rename(old / name)
    for part in PARTS:
        if (data / STAGING / part).exists():
            (data / STAGING / part).rename(data / part)
    journal.unlink()
    return True
