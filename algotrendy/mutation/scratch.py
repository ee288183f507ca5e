"""A copy of the tree to change: a run never writes into the tree itself."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from algotrendy.paths import BASE_DIR


@contextmanager
def scratch_copy() -> Iterator[Path]:
    """Return the folder of a copy of all that git knows or would add; it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="desk-mutants-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve() / "desk"
        for name in _files():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(BASE_DIR / name, target)
        yield copy


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=BASE_DIR, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split("\0") if name and (BASE_DIR / name).is_file()]
