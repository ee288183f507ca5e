"""Configuration of the brokers app, and what it listens to from below."""

from django.apps import AppConfig


class BrokersConfig(AppConfig):
    name = "brokers"

    def ready(self) -> None:
        """Listen to candles and to feeds that want to switch."""
        from brokers import receivers
        from market import signals

        signals.candle_closed.connect(receivers.match_soon, dispatch_uid="brokers.match_paper")
        signals.candles_needed.connect(receivers.candles_in_use, dispatch_uid="brokers.candles_in_use")
        signals.feed_switching.connect(receivers.forbid_switch_while_in_use, dispatch_uid="brokers.feed_busy")
