"""How many sockets one person may hold in this process, and how many objects they may watch with them.

Everybody's regions are rendered by one thread: without a limit the tabs of one person would be what all wait for.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from dashboard.live.topics import SEPARATOR

MAX_SOCKETS = 20
MAX_OBJECTS = 60  # distinct regions of single objects, over all sockets of a person


@dataclass
class _Seat:
    sockets: int = 0
    objects: Counter[str] = field(default_factory=Counter)


class Seats:
    """The sockets of each person, by user id."""

    def __init__(self) -> None:
        self._seats: defaultdict[int, _Seat] = defaultdict(_Seat)

    def take(self, person: int, topics: frozenset[str]) -> bool:
        """Count one more socket of a person; return False, counting nothing, if that would be too many."""
        seat = self._seats[person]
        objects = {topic for topic in topics if SEPARATOR in topic}
        if seat.sockets >= MAX_SOCKETS or len(objects | set(seat.objects)) > MAX_OBJECTS:
            return False
        seat.sockets += 1
        seat.objects.update(objects)
        return True

    def leave(self, person: int, topics: frozenset[str]) -> None:
        """Count one socket less: the same topics that were taken."""
        seat = self._seats[person]
        seat.sockets -= 1
        seat.objects -= Counter(topic for topic in topics if SEPARATOR in topic)
        if seat.sockets <= 0:
            del self._seats[person]


seats = Seats()
