"""Receivers of signals from below. Quick: they only nudge a worker."""

import time
from datetime import datetime

from algotrendy.events import nudge

#: A tick announces each of its candles, all of them stored already: one nudge in this time (seconds) serves them.
GATHERED = 0.2
_nudged_at: dict[int, float] = {}


def predict_soon(timeframe: int, **_: object) -> None:
    """Nudge the scoring of bars of this timeframe (seconds) that have just closed."""
    now = time.monotonic()
    if now - _nudged_at.get(timeframe, -GATHERED) >= GATHERED:
        _nudged_at[timeframe] = now
        nudge("mlmodels.predict", timeframe)


def candles_to_train_on(timeframe: int, **_: object) -> datetime | None:
    """Return since when a training of this timeframe's simulated market would read candles."""
    from mlmodels.training import requirements

    return requirements.read_since(timeframe)
