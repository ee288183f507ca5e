"""Keeping libraries from loading what is installed for tests only: 30 to 60 MB in each process of the desk."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Let imports of the modules `names` fail until the block ends, except of those that are loaded already."""
    new = [name for name in names if name not in sys.modules]
    for name in new:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in new:
            del sys.modules[name]
