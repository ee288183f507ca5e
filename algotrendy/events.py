"""What is announced and who is nudged, after the commit: how apps below reach apps above, and workers.

An announcement is a Django signal that receivers above listen to; a nudge starts a task early. Both are hints: the
rows are the truth, a sweep finds what a lost one left, and a receiver that fails is logged and passed over.
"""

import logging
from collections.abc import Callable
from functools import partial

from celery import current_app
from django.db import transaction
from django.dispatch import Signal
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def announce(signal: Signal, sender: type, **ids: object) -> None:
    """Send `signal` with `ids` once the surrounding transaction is committed (now, if there is none).

    Whatever a receiver raises is logged: it undoes nothing and keeps no other receiver from being called.
    """
    transaction.on_commit(partial(signal.send_robust, sender=sender, **ids), robust=True)


def nudge(task: str, *args: object) -> bool:
    """Send a task by name; return False, quickly and without raising, while the queue cannot be reached."""
    try:
        current_app.send_task(task, args=args, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("nudge %s was lost (%s); the sweep will find the work", task, error)
        return False
    return True


def nudge_after_commit(task: str, *args: object) -> None:
    """Send a task once the surrounding transaction is committed (now, if there is none)."""
    transaction.on_commit(partial(nudge, task, *args), robust=True)


def after_commit(job: Callable[[], object]) -> None:
    """Do `job` once the surrounding transaction is committed (now, if there is none); what it raises is logged."""
    transaction.on_commit(job, robust=True)
