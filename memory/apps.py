"""Configuration of memory, and the signals of brokers and market that it receives."""

from django.apps import AppConfig


class MemoryConfig(AppConfig):
    name = "memory"

    def ready(self) -> None:
        """Connect the receivers of candles and closed trades."""
        from brokers.signals import trade_closed
        from market.signals import candle_closed, candles_needed
        from memory import receivers

        candle_closed.connect(receivers.resolve_soon, dispatch_uid="memory.resolve")
        candles_needed.connect(receivers.candles_of_open_outcomes, dispatch_uid="memory.candles")
        trade_closed.connect(receivers.link_soon, dispatch_uid="memory.link")
