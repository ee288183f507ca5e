"""Nudges: telling a worker that there is something to do. Only ever a hint: a sweep finds what a lost one left."""

import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def nudge(task: str, *args: Any) -> bool:
    """Send a task by name; return False, quickly and without raising, while the queue cannot be reached."""
    try:
        current_app.send_task(task, args=args, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("nudge %s was lost (%s); the sweep will find the work", task, error)
        return False
    return True


def nudge_after_commit(task: str, *args: Any) -> None:
    """Send a task once the surrounding transaction has been committed."""
    transaction.on_commit(lambda: nudge(task, *args))
