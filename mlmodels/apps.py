"""Configuration of models, and what they listen to from below."""

import time
from typing import Any

from django.apps import AppConfig

from algotrendy.nudges import nudge

#: A tick announces each of its candles, all of them stored already: one nudge in this time (seconds) serves them.
GATHERED = 0.2
_nudged_at: dict[int, float] = {}


class MlmodelsConfig(AppConfig):
    name = "mlmodels"

    def ready(self) -> None:
        """Listen to candles."""
        from market.signals import candle_closed

        candle_closed.connect(_predict_soon, dispatch_uid="mlmodels.predict")


def _predict_soon(timeframe: int, **_: Any) -> None:
    now = time.monotonic()
    if now - _nudged_at.get(timeframe, -GATHERED) >= GATHERED:
        _nudged_at[timeframe] = now
        nudge("mlmodels.predict", timeframe)
