"""Which live regions of this process can't be rendered: for the page Health, and so that each is logged once."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

MOST = 200  # kept at once; a region leaves when it works again or nobody watches it


@dataclass(frozen=True, slots=True)
class Broken:
    """A region that fails: since when, and what was raised."""

    topic: str
    since: datetime
    error: str


_broken: dict[str, Broken] = {}


def report(topic: str, error: Exception) -> bool:
    """Take down that `topic` failed; return whether that is news."""
    if topic in _broken or len(_broken) >= MOST:
        return False
    _broken[topic] = Broken(topic, timezone.now(), f"{type(error).__name__}: {error}"[:200])
    return True


def forget(topic: str) -> None:
    """Take down that `topic` works again, or that nobody watches it."""
    _broken.pop(topic, None)


def regions() -> list[Broken]:
    """Return the regions that fail now, the oldest first."""
    return sorted(_broken.values(), key=lambda region: region.since)
