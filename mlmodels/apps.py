"""Configuration of models, and what they listen to from below."""

from django.apps import AppConfig


class MlmodelsConfig(AppConfig):
    name = "mlmodels"

    def ready(self) -> None:
        """Listen to candles."""
        from market.signals import candle_closed
        from mlmodels import receivers

        candle_closed.connect(receivers.predict_soon, dispatch_uid="mlmodels.predict")
