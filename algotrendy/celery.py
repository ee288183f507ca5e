"""The Celery application: two queues, `trade` (fast, must not wait) and `training` (slow)."""

import os

from celery import Celery, Task
from celery.signals import setup_logging, task_failure, task_prerun, task_success, worker_shutdown

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


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _forget_ended_pool(**_: object) -> None:
    """Keep the exit from ending the worker's pool once more: it would write to processes that have ended."""
    from multiprocessing import util

    util._finalizer_registry.clear()  # type: ignore[attr-defined]


@task_success.connect  # type: ignore[untyped-decorator]
def _note_success(sender: Task, **_: object) -> None:
    """Write down that a task which beat asked for succeeded, for the page Health. Nudges are not its schedule."""
    if name := _entry_of(sender):
        from algotrendy.isolation.schedule import note_success

        note_success(name)


@task_failure.connect  # type: ignore[untyped-decorator]
def _note_failure(sender: Task, exception: Exception, **_: object) -> None:
    """Write down that a task which beat asked for failed as a whole."""
    if name := _entry_of(sender):
        from algotrendy.isolation.schedule import note_failure

        note_failure(name, exception)


def _entry_of(task: Task) -> str:
    """Return the name of the entry of beat's schedule that a task runs for; empty for a nudge."""
    request = task.request
    headers = getattr(request, "headers", None) or {}
    return str(getattr(request, "periodic_task_name", None) or headers.get("periodic_task_name") or "")
