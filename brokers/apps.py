"""Configuration of the brokers app."""

from django.apps import AppConfig


class BrokersConfig(AppConfig):
    name = "brokers"
