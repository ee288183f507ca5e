"""Configuration of memory, and what it listens to from below."""

from typing import Any

from django.apps import AppConfig

from algotrendy.nudges import nudge


class MemoryConfig(AppConfig):
    name = "memory"

    def ready(self) -> None:
        """Listen to candles and closed trades."""
        from brokers.signals import trade_closed
        from market.signals import candle_closed

        candle_closed.connect(_resolve_soon, dispatch_uid="memory.resolve")
        trade_closed.connect(_link_soon, dispatch_uid="memory.link")


def _resolve_soon(instrument_id: int, **_: Any) -> None:
    from memory.models import Outcome

    if Outcome.objects.filter(instrument_id=instrument_id, state=Outcome.State.OPEN).exists():
        nudge("memory.resolve_outcomes", instrument_id)


def _link_soon(trade_id: int, **_: Any) -> None:
    nudge("memory.link_trade", trade_id)
