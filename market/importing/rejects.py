"""Lines that could not be imported: counted, the first ones kept, all of them written to a report."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.conf import settings

from algotrendy.text import plain

SHOWN = 20


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
        self._file.writelines(f"{plain(str(self.path))}:{line}: {reason}\n" for line, reason in lines)

    def close(self) -> None:
        """Finish the report."""
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> IO[str]:
        folder = Path(settings.DATA_DIR) / "imports"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self.path.name if self.path else "lines"
        self.report = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{name}.txt"
        return self.report.open("w", encoding="utf-8")
