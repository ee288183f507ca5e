"""Configuration of the paper venue: a venue of its own with its own ledger."""

from django.apps import AppConfig


class PaperConfig(AppConfig):
    name = "brokers.venues.paper"
    label = "paper"
