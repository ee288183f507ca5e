"""One stream of prefixed lines: coloured on a terminal, plain in a rotated file."""

import contextlib
import os
import time
from pathlib import Path
from typing import TextIO

COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)
WIDTH = 8
MAX_BYTES = 5_000_000
KEPT = 3


class Output:
    """Writes each line to `stream` and to `log`; the log is rotated at 5 MB and three old ones are kept."""

    def __init__(self, stream: TextIO, log: Path) -> None:
        self.stream = stream
        self.log = log
        self.coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self.colours: dict[str, int] = {}
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file = log.open("a", encoding="utf-8", errors="replace")

    def line(self, name: str, text: str, *, shown: bool = True) -> None:
        """Write one line of the process `name`; with `shown=False` only to the log."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.file.write(f"{stamp} {name:<{WIDTH}} | {text}\n")
        self.file.flush()
        if self.file.tell() > MAX_BYTES:
            self._rotate()
        if shown:
            self.show(f"{self._coloured(name, f'{name:<{WIDTH}} |')} {text}")

    def show(self, text: str, end: str = "\n") -> None:
        """Write to the terminal only. A terminal that has gone away does not stop the desk."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text + end)
            self.stream.flush()

    def close(self) -> None:
        """Close the log."""
        self.file.close()

    def _coloured(self, name: str, text: str) -> str:
        if not self.coloured:
            return text
        colour = self.colours.setdefault(name, COLOURS[len(self.colours) % len(COLOURS)])
        return f"\x1b[{colour}m{text}\x1b[0m"

    def _rotate(self) -> None:
        self.file.close()
        for number in range(KEPT - 1, 0, -1):
            older = self.log.with_name(f"{self.log.name}.{number}")
            if older.exists():
                older.rename(self.log.with_name(f"{self.log.name}.{number + 1}"))
        self.log.rename(self.log.with_name(f"{self.log.name}.1"))
        self.file = self.log.open("a", encoding="utf-8", errors="replace")
