"""Configuration of models, and the signals from below that they receive."""

from django.apps import AppConfig


class MlmodelsConfig(AppConfig):
    name = "mlmodels"

    def ready(self) -> None:
        """Connect to the signal of closed candles."""
        from market.signals import candle_closed, candles_needed
        from mlmodels import receivers

        candle_closed.connect(receivers.predict_soon, dispatch_uid="mlmodels.predict")
        candles_needed.connect(receivers.candles_to_train_on, dispatch_uid="mlmodels.candles")
