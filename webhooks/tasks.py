"""Thin tasks of the webhooks: nudged by the door, swept by beat."""

from celery import shared_task

from algotrendy.events import nudge
from algotrendy.locks import try_session_lock
from webhooks import demo as strategy
from webhooks import inbox, services


@shared_task(name="webhooks.work_inbox")
def work_inbox() -> int:
    """Decide waiting alerts; hands over to itself when its turn was too short."""
    settled = inbox.drain()
    if settled and inbox.waiting():
        nudge("webhooks.work_inbox")
    return settled


@shared_task(name="webhooks.demo")
def demo() -> int:
    """Let the demo's strategy look at the market; one worker at a time, or a slow second would post twice."""
    with try_session_lock("webhooks.demo") as acquired:
        return strategy.post_crosses() if acquired else 0


@shared_task(name="webhooks.housekeeping")
def housekeeping() -> int:
    """Forget tokens whose grace is over."""
    return services.forget_old_tokens()
