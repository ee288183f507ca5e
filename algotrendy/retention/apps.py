"""Configuration of what is removed once it is old enough."""

from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "algotrendy.retention"
