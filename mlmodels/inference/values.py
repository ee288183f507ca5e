"""What a model predicts of one bar, as a plain value. Pure: for those who decide without a database."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LatestPrediction:
    """The word of a family's champion on one bar, known at its close; `open_time` is market time.

    `probability` is P(reversal | the bar is a candidate), 0 with side *none*. When nobody speaks, `silent_because`
    says why, and the rest is empty.
    """

    family: str
    version: str = ""
    open_time: datetime | None = None
    probability: float = 0.0
    side: str = "none"
    silent_because: str = ""

    @property
    def is_candidate(self) -> bool:
        """Whether the bar had a move to reverse."""
        return self.side != "none"
