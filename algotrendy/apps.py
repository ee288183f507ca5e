"""Configuration of the wiring app."""

from django.apps import AppConfig


class AlgotrendyConfig(AppConfig):
    name = "algotrendy"

    def ready(self) -> None:
        """Make the Celery application the current one, so that tasks sent from any process find their queue."""
        from algotrendy import celery as celery
