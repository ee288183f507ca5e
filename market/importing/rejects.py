"""Lines that could not be imported: counted, the first ones kept, and as many as are read written to a report."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.conf import settings

from algotrendy.text import plain

SHOWN = 20
MOST_LISTED = 100_000  # lines of a report: a small packed file may hold bad ones for all of the disk
LONGEST_NAME = 200  # bytes of the report's name that are the file's own


class BadLines:
    """The bad lines of one file. The report, `imports/…` in the data folder, is made with the first of them."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.count = 0
        self.first: list[tuple[int, str]] = []
        self.report: Path | None = None
        self._file: IO[str] | None = None

    def add(self, lines: Sequence[tuple[int, str]]) -> None:
        """Take in `(line number, reason)` pairs."""
        if not lines:
            return
        self.count += len(lines)
        self.first.extend(lines[: SHOWN - len(self.first)])
        self._file = self._file or self._open()
        listed = lines[: max(0, MOST_LISTED - (self.count - len(lines)))]
        self._file.writelines(f"{plain(str(self.path))}:{line}: {reason}\n" for line, reason in listed)

    @property
    def unlisted(self) -> int:
        """How many bad lines are counted only."""
        return max(0, self.count - MOST_LISTED)

    def close(self) -> None:
        """Finish the report."""
        if self._file:
            if self.unlisted:
                self._file.write(f"… and {self.unlisted:,} more, which are counted only\n")
            self._file.close()
            self._file = None

    def _open(self) -> IO[str]:
        folder = Path(settings.DATA_DIR) / "imports"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self.path.name if self.path else "lines"
        name = os.fsencode(name)[:LONGEST_NAME].decode("utf-8", "ignore")
        self.report = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{name}.txt"
        return self.report.open("w", encoding="utf-8")
