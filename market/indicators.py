"""TA-Lib for arrays. `from market.indicators import talib`.

Where pandas is installed (for tests), TA-Lib would load it in every process of the desk, 60 MB each, and wrap each
function to look for its series. The desk has none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let an import of the module `name` fail until the block ends, unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


with _hidden("pandas"), _hidden("polars"):
    import talib as talib
