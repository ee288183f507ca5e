"""One supervisor per data folder, and what a killed one left behind."""

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import TextIO

LEFTOVER_SECONDS = 10.0
LENGTH = 256  # of the lock file, in bytes


class AlreadyRunning(Exception):
    """Another supervisor holds this data folder. The text names its pid and address."""


def take(run_folder: Path, url: str) -> TextIO:
    """Lock `run_folder` for this process and return the open lock file; it is held until the process ends.

    Raises AlreadyRunning. The kernel drops the lock with its holder, so a crash leaves nothing to clean.
    """
    handle = os.open(run_folder / "desk.lock", os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(handle, "r+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with file:
            raise AlreadyRunning(_describe(file.read())) from None
    _name_holder(handle, url)
    return file


def _name_holder(handle: int, url: str) -> None:
    """Write who holds the lock over what the file holds: emptied first, a full disk would leave it empty.

    The lock itself is the kernel's. Where not even this can be written, only its holder's name is missing.
    """
    state = json.dumps({"pid": os.getpid(), "url": url}).ljust(LENGTH).encode()
    with contextlib.suppress(OSError):
        os.pwrite(handle, state, 0)
        os.truncate(handle, len(state))


def holder(run_folder: Path) -> tuple[int, str] | None:
    """Return pid and address of the supervisor that runs now, or None."""
    try:
        with (run_folder / "desk.lock").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                state = json.load(file)
                return int(state["pid"]), str(state["url"])
    except (FileNotFoundError, ValueError):
        pass
    return None


def _describe(text: str) -> str:
    try:
        state = json.loads(text)
    except ValueError:
        return "already running (it is just starting)"
    return f"already running (pid {state['pid']}, {state['url']})"


def end_leftovers(run_folder: Path) -> list[str]:
    """End the children of a supervisor that was killed, and return their names; may block for 20 s.

    On Linux they end with it, within moments; elsewhere they would run on beside their successors.
    """
    left = {path: pid for path in run_folder.glob("*.pid") if (pid := alive(path))}
    for number in (signal.SIGINT, signal.SIGKILL):
        for pid in left.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while any(alive(path) for path in left) and time.monotonic() < deadline:
            time.sleep(0.05)
    for path in run_folder.glob("*.pid"):
        path.unlink(missing_ok=True)
    return sorted(path.stem for path in left)


def alive(pid_file: Path) -> int | None:
    """Return the pid in `pid_file` if that very process still runs, else None.

    A number alone proves nothing after a reboot: the process must have begun when the file was written.
    """
    import psutil

    try:
        pid = int(pid_file.read_text())
        process = psutil.Process(pid)
        began, written = process.create_time(), pid_file.stat().st_mtime
        zombie = process.status() == psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.Error):
        return None
    return pid if abs(began - written) < 5 and not zombie else None
