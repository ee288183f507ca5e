"""What every driver gives to the feed process."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from market.models import Feed, Gap, Instrument
from market.services import NewCandle, NewQuote


class Window(NamedTuple):
    """A stretch of candles (open times, both present) in which holes are now known to be holes."""

    instrument_id: int
    first: datetime
    last: datetime
    state: Gap.State
    beyond: bool = False


@dataclass(frozen=True)
class Tick:
    """What one step of a driver brought; the feed process writes it in one transaction.

    `due` is the wall time (seconds since 1970) at which the driver wants its next step. `closed` names the newest
    candle that became known for each instrument. `progress` None leaves the feed's as it is. `progress_without`
    returns the progress for when some instruments (ids) could not be stored, where that makes a difference.
    """

    due: float
    candles: Sequence[NewCandle] = ()
    quotes: Sequence[NewQuote] = ()
    closed: dict[int, datetime] = field(default_factory=dict)
    windows: Sequence[Window] = ()
    clock: datetime | None = None
    progress: dict[str, object] | None = None
    progress_without: Callable[[Collection[int]], dict[str, object]] | None = None
    revise: bool = False
    problem: str = ""
    ended: str = ""

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not (self.candles or self.quotes or self.closed or self.problem or self.ended)


class Driver(Protocol):
    """One kind of feed. Made anew when the feed's settings change; may raise anything, which is retried later."""

    def step(self, feed: Feed, instruments: Sequence[Instrument], now: float) -> Tick:
        """Return what is new at wall time `now` (seconds since 1970). Must not wait for a network."""

    def close(self) -> None:
        """Let go of what it holds."""
