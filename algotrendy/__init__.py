"""How the desk is wired: settings, processes, embedded services. Nothing about trading."""

from algotrendy.celery import app as celery_app

__all__ = ["celery_app"]
