"""The tasks of brokers that others nudge, by name, and nudging them after commit.

The rows are the queue: a lost nudge costs only the time until the next sweep.
"""

from functools import partial
from typing import Final

from django.db import transaction

from algotrendy.nudges import nudge

SUBMIT: Final = "brokers.submit_order"
CANCEL: Final = "brokers.cancel_order"
LOOK_UP: Final = "brokers.look_up_order"
SYNC: Final = "brokers.sync_connection"
MATCH: Final = "brokers.match_paper"
MARK: Final = "brokers.mark_equity"


def after_commit(task: str, row_id: int) -> None:
    """Nudge `task` about a row once the running transaction is committed (now, if there is none)."""
    transaction.on_commit(partial(nudge, task, row_id), robust=True)
