"""Configuration of models, and what they listen to from below."""

from django.apps import AppConfig


class MlmodelsConfig(AppConfig):
    name = "mlmodels"
