"""Configuration of memory, and what it listens to from below."""

from django.apps import AppConfig


class MemoryConfig(AppConfig):
    name = "memory"

    def ready(self) -> None:
        """Listen to candles and closed trades."""
        from brokers.signals import trade_closed
        from market.signals import candle_closed
        from memory import receivers

        candle_closed.connect(receivers.resolve_soon, dispatch_uid="memory.resolve")
        trade_closed.connect(receivers.link_soon, dispatch_uid="memory.link")
