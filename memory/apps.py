"""Configuration of the memory app."""

from django.apps import AppConfig


class MemoryConfig(AppConfig):
    name = "memory"
