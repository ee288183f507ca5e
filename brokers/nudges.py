"""Nudges: what makes a worker look at once. The rows are the queue, so a lost nudge only costs time."""

import logging
from functools import partial

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

SUBMIT = "brokers.submit_order"
CANCEL = "brokers.cancel_order"
LOOK_UP = "brokers.look_up_order"
SYNC = "brokers.sync_connection"
MATCH = "brokers.match_paper"
MARK = "brokers.mark_equity"
QUEUES = {MARK: "training"}
EXPIRES = 30.0  # seconds; by then a sweep has found the row


def after_commit(task: str, row_id: int) -> None:
    """Nudge `task` about a row once the running transaction is committed (now, if there is none)."""
    transaction.on_commit(partial(now, task, row_id), robust=True)


def now(task: str, row_id: int) -> None:
    """Nudge `task` about a row. A broker that cannot be reached is logged, never raised."""
    try:
        current_app.send_task(task, args=(row_id,), queue=QUEUES.get(task, "trade"), expires=EXPIRES)
    except Exception as error:
        logger.warning("nudge %s(%s) was lost: %s", task, row_id, error)
