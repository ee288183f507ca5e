"""What inference hands to its callers, as plain values. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LatestPrediction:
    """The prediction of a family's champion for one bar, known at its close; `open_time` is market time.

    `probability` is P(reversal | the bar is a candidate), 0 with side *none*. When there is no prediction,
    `inactive_reason` has the reason, and the rest is empty.
    """

    family: str
    version: str = ""
    open_time: datetime | None = None
    probability: float = 0.0
    side: str = "none"
    inactive_reason: str = ""

    @property
    def is_candidate(self) -> bool:
        """Whether the bar had a move to reverse."""
        return self.side != "none"
