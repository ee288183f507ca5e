"""The shape of the evidence stored with every decision: what the agent knew, number by number."""

from typing import Literal, NotRequired, TypedDict

# Each level of the record is pulled towards the one above with the weight of this many cases.
STRENGTH = 50.0


class LevelEvidence(TypedDict):
    """One level of the record: its own wins and cases, and the shrunken win rate after it."""

    name: str
    wins: int
    cases: int
    mean: float


class CheckEvidence(TypedDict):
    """One limit that was checked. Values are decimal text."""

    name: str
    ok: bool
    value: str
    limit: str
    text: str


class BaseEvidence(TypedDict):
    """Where the confidence starts: a market without edge reaches the target first this often."""

    mean: float
    text: str


class QuoteEvidence(TypedDict):
    """The price known then: decimal text and the market's time (ISO 8601, UTC)."""

    price: str
    market_time: str
    kind: str


class PositionEvidence(TypedDict):
    """Holding then, including orders still on their way. Decimal text, negative when short."""

    quantity: str
    average_price: str


class DeskEvidence(TypedDict):
    """The desk then. Amounts are decimal text in the account's currency."""

    state: str
    equity: str
    day_pnl: str
    open_positions: int


class SizingEvidence(TypedDict):
    """How the quantity came about. Decimal text."""

    method: str
    wanted: str
    allowed: str
    stop_distance: str
    text: str


class PredictionEvidence(TypedDict):
    """What the active model predicts of the newest closed bar; it has no weight in the confidence yet.

    `probability` is P(reversal | the bar is a candidate). `open_time` is market time (ISO 8601, UTC). Without a
    prediction `version` is empty, and `text` gives the reason.
    """

    version: str
    family: str
    probability: float | None
    side: str
    candidate: bool
    stance: Literal["supports", "opposes", "silent"]
    open_time: str | None
    text: str


class Evidence(TypedDict):
    """Everything behind one decision. Probabilities are fractions of one."""

    base: BaseEvidence
    levels: list[LevelEvidence]
    confidence: float
    low: float
    high: float
    break_even: float | None
    volatility: float | None
    quote: QuoteEvidence | None
    position: PositionEvidence
    desk: DeskEvidence
    checks: list[CheckEvidence]
    notes: list[str]
    signal: dict[str, str | float]
    sizing: NotRequired[SizingEvidence]
    prediction: NotRequired[PredictionEvidence]
