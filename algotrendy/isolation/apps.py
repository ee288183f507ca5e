"""Configuration of the app that remembers what failed."""

from django.apps import AppConfig


class IsolationConfig(AppConfig):
    name = "algotrendy.isolation"
