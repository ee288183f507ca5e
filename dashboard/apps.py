"""Configuration of the dashboard app."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        """Listen to the apps below: what they announce becomes hints for the open pages."""
        from dashboard.live import publisher

        publisher.connect()
