"""Configuration of the webhooks app, and what it answers to the market."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        """Say which candles pages of decisions show, before old ones are removed."""
        from market.signals import candles_shown
        from webhooks import receivers

        candles_shown.connect(receivers.candles_of_decisions, dispatch_uid="webhooks.candles")
