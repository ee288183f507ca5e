"""One stream of prefixed lines: coloured on a terminal, plain in a rotated file.

No line may end the desk: what a full or broken disk does not take is counted, and said once it takes lines again.
"""

import contextlib
import io
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
        self.lost = 0  # lines since the log took one
        self.file: io.FileIO | None = None
        with contextlib.suppress(OSError):
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.file = self._open()

    def line(self, name: str, text: str, *, shown: bool = True) -> None:
        """Write one line of the process `name`; with `shown=False` only to the log. Never raises."""
        self._log(_stamped(name, text))
        if shown:
            self.show(f"{self._coloured(name, f'{name:<{WIDTH}} |')} {text}")

    def show(self, text: str, end: str = "\n") -> None:
        """Write to the terminal only. A terminal that has gone away does not stop the desk."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text + end)
            self.stream.flush()

    def close(self) -> None:
        """Close the log."""
        file, self.file = self.file, None
        if file:
            with contextlib.suppress(OSError):
                file.close()

    def _log(self, line: str) -> None:
        lost = (
            _stamped("desk", f"{self.lost} lines are missing here: the disk did not take them")
            if self.lost
            else ""
        )
        try:
            self._append((lost + line).encode(errors="replace"))
        except OSError:
            self.lost += 1
            self.close()  # a handle may have gone stale with its disk
        else:
            self.lost = 0

    def _append(self, data: bytes) -> None:
        """Write all of `data` or nothing: half a line would run into the next one. Raises OSError."""
        file = self.file = self.file or self._open()
        before = os.fstat(file.fileno()).st_size
        if before and before + len(data) > MAX_BYTES:
            file, before = self._rotate(file), 0
        if file.write(data) != len(data):
            file.truncate(before)
            raise OSError("written in part")

    def _open(self) -> io.FileIO:
        # Unbuffered: a buffer would keep what a full disk refused, and raise it again at the next line.
        return io.FileIO(self.log, "a")

    def _coloured(self, name: str, text: str) -> str:
        if not self.coloured:
            return text
        colour = self.colours.setdefault(name, COLOURS[len(self.colours) % len(COLOURS)])
        return f"\x1b[{colour}m{text}\x1b[0m"

    def _rotate(self, file: io.FileIO) -> io.FileIO:
        """Begin a new file; where the old one cannot be moved aside, empty it: it must not grow for ever."""
        try:
            for number in range(KEPT - 1, 0, -1):
                older = self._old(number)
                if older.exists():
                    older.rename(self._old(number + 1))
            self.log.rename(self._old(1))
        except OSError:
            file.truncate(0)
            return file
        self.close()
        self.file = self._open()
        return self.file

    def _old(self, number: int) -> Path:
        return self.log.with_name(f"{self.log.name}.{number}")


def _stamped(name: str, text: str) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {name:<{WIDTH}} | {text}\n"
