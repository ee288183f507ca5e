"""The floor of handing work over: a Celery worker with one empty task on a queue of its own.

`celery -A benchmarks._floor_worker worker -Q floor` with the desk's data folder in the environment: the same
broker and worker settings as the trade worker; results come back through the same Valkey.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "algotrendy.settings")

from celery import Celery
from django.conf import settings

QUEUE = "floor"

app = Celery("floor", backend=settings.CELERY_BROKER_URL)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_ignore_result = False
app.conf.task_default_queue = QUEUE


@app.task(name="benchmarks.empty")  # type: ignore[untyped-decorator]
def empty() -> None:
    """Do nothing."""
