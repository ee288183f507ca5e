"""The doctor's check of the inbox: how long alerts wait."""

from collections.abc import Iterator

from algotrendy.monitoring.doctor import Finding, desk_check
from webhooks.selectors import queue_age

LONGEST_QUEUE_SECONDS = 30


@desk_check
def queue() -> Iterator[Finding]:
    """Report how long the oldest undecided alert waits."""
    age = queue_age()
    if age is None:
        yield Finding(True, "No alert waits for its decision")
        return
    good = age < LONGEST_QUEUE_SECONDS
    advice = "" if good else "The trade worker decides alerts: is it alive?"
    yield Finding(good, f"The oldest undecided alert waits for {age:.0f} s", advice)
