"""Celery's way in."""

from celery import shared_task

from algotrendy.retention import nightly
from market import retention

REMOVE_OLD = "market.remove_old"


@shared_task(name=REMOVE_OLD)
def remove_old() -> int:
    """Remove old candles of simulated markets."""
    return nightly.remove(REMOVE_OLD, {retention.KIND: retention.remove_next})
