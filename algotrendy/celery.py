"""The Celery application: two queues, `trade` (fast, must not wait) and `training` (slow)."""

import os

from celery import Celery
from celery.signals import setup_logging, task_prerun

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "algotrendy.settings")

app = Celery("algotrendy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000
# Beat sends names; the tasks themselves, with all that they import, are the workers'.
if os.environ.get("ALGOTRENDY_PROCESS") != "beat":
    app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]
def _keep_django_logging(**_: object) -> None:
    """Django's LOGGING stands; Celery adds no handlers of its own."""


@task_prerun.connect  # type: ignore[untyped-decorator]
def _drop_dead_connections(**_: object) -> None:
    """Workers keep their connection between tasks; one that a restart of PostgreSQL broke is dropped here."""
    from django.db import close_old_connections

    close_old_connections()
