"""Configuration of the wiring app: only commands live here."""

from django.apps import AppConfig


class AlgotrendyConfig(AppConfig):
    name = "algotrendy"
