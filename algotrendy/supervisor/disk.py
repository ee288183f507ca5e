"""How much room is left for the data folder, and what to do when it runs out. Knows nothing of Django."""

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

LOW_BYTES = 2_000_000_000  # PostgreSQL alone keeps up to 1 GB of write-ahead log beside its tables
FULL_BYTES = 50_000_000  # less than a few segments of that log: it cannot go on for long
PROBE = b"room?" * 800  # a block of most file systems
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
ADVICE_LOW = "Make room before it is full: PostgreSQL stops then, and alerts are refused (docs/operations.md)."
ADVICE_FULL = (
    "Nothing that was answered is lost; alerts are refused with 503 until there is room. Free some: old logs and "
    "backups may go, nothing in the folder postgres. The desk goes on by itself."
)
ADVICE_BROKEN = (
    "The disk or its mount is at fault, not the room on it: see dmesg. Nothing that was answered is lost."
)


@dataclass(frozen=True, slots=True)
class Space:
    """The room at `place`: bytes free, and the error of a trial write (0 where it worked)."""

    place: Path
    free: int
    error: int = 0

    @property
    def full(self) -> bool:
        """Whether nothing more can be relied on to be written."""
        return self.error != 0 or self.free < FULL_BYTES

    @property
    def broken(self) -> bool:
        """Whether it is not the room that is missing: no byte can be written, however many are free."""
        return self.error not in (0, *NO_ROOM)

    @property
    def low(self) -> bool:
        """Whether it will be full soon, or is."""
        return self.full or self.free < LOW_BYTES

    @property
    def text(self) -> str:
        """What there is, in words."""
        room = f"{self.free / 1e9:.2f} GB free at {self.place}"
        if self.broken:
            return f"{self.place} cannot be written to ({os.strerror(self.error)}), {room}"
        if self.error == errno.EDQUOT:
            return f"the disk quota is used up, {room}"
        return f"the disk is full, {room}" if self.full else room

    @property
    def advice(self) -> str:
        """What to do; empty while there is room."""
        if self.broken:
            return ADVICE_BROKEN
        return ADVICE_FULL if self.full else ADVICE_LOW if self.low else ""


def space(data: Path) -> Space:
    """Return the room for `data` (for its nearest parent while it is not there), tried out with a small file."""
    place = next(path for path in (data, *data.parents) if path.exists())
    try:
        return Space(place, shutil.disk_usage(place).free, _try_to_write(place))
    except OSError as error:
        return Space(place, 0, error.errno or errno.EIO)


def _try_to_write(place: Path) -> int:
    """Return the error number of writing a block at `place`: nothing else shows a quota. 0 if it may not."""
    try:
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            return 0 if file.write(PROBE) == len(PROBE) else errno.ENOSPC
    except PermissionError:
        return 0
    except OSError as error:
        return error.errno or errno.EIO
