"""Configuration of the dashboard app."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        """Listen to what is announced: it becomes hints for the open pages."""
        from dashboard import receivers

        receivers.connect()
