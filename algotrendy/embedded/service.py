"""The shape shared by both embedded services: what to run, how to stop it, how to see that it answers."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from algotrendy.embedded.child import Preexec


@dataclass(frozen=True)
class Launch:
    """How a service is started as a child: the same for the supervisor and for tests."""

    argv: list[str]
    env: dict[str, str]
    preexec: Preexec
    stop_signal: signal.Signals


class Service(Protocol):
    """A server whose data live in one folder and which listens on a Unix socket only."""

    name: str

    def prepare(self) -> None:
        """Make what the first start needs and clear what a crash left behind; may block."""

    def launch(self) -> Launch:
        """Return how to run the server in the foreground."""

    def is_ready(self) -> bool:
        """Tell whether it answers; may block for a moment."""

    def after_ready(self) -> None:
        """Finish the first start once the server answers."""


def private_folder(path: Path) -> Path:
    """Make `path` with mode 0700 (also when it exists) and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def plain_environment() -> dict[str, str]:
    """Return an environment without PG* and other variables that would change a server's behaviour."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
