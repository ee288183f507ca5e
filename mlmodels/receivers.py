"""Receivers of signals from below. Quick: they only nudge a worker."""

import time

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
