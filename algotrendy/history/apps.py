"""Configuration of the app that writes down who changed what."""

from django.apps import AppConfig


class HistoryConfig(AppConfig):
    name = "algotrendy.history"
