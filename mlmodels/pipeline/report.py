"""The shape of what is stored about a model, shared by the training that writes it and the pages that show it.

Probabilities and rates are fractions of one, times ISO 8601 in UTC (market time), log-losses in nats.
"""

from typing import NotRequired, TypedDict

Curve = list[list[float]]


class Interval(TypedDict):
    """A value with its 90 % interval."""

    value: float
    low: float
    high: float


class ReliabilityBin(TypedDict):
    """The mean probability and how often it came true, with its 90 % interval."""

    n: int
    mean: float
    rate: float
    low: float
    high: float


class Scores(TypedDict):
    """A forecast on some rows. `skill` is 1 − log-loss / log-loss of the constant forecast.

    `pr_auc` is None where nothing was a reversal.
    """

    rows: int
    positives: int
    base_rate: float
    log_loss: Interval
    brier: Interval
    pr_auc: Interval | None
    ece: float
    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    accuracy: float
    accuracy_of_never: float
    skill: Interval | None


class SymbolRows(TypedDict):
    """The candles of one instrument: how many, from when to when, in how many gap-free stretches."""

    symbol: str
    candles: int
    first: str
    last: str
    stretches: int


class Data(TypedDict):
    """What was read. `rows` have known features and a known label; `candidates` a move to reverse."""

    symbols: list[SymbolRows]
    rows: int
    candidates: int
    positives: int
    base_rate: float
    candidate_base_rate: float
    note: NotRequired[str]


class Period(TypedDict):
    """A window of market time: first open, last close."""

    first: str
    last: str
    days: float


class Fold(TypedDict):
    """One step of the walk-forward, scored on the candidates of its test period."""

    train: Period
    test: Period
    rows: int
    candidates: int
    positives: int
    log_loss: float
    constant: float
    left_move: float
    pr_auc: float | None


class Importance(TypedDict):
    """How much the held-out log-loss grows when a feature is shuffled: mean and spread over repeats."""

    feature: str
    mean: float
    spread: float


class Holdout(TypedDict):
    """Everything that is compared on the rows of the gate. On candidates, and `all_rows` on every row."""

    period: Period
    model: Scores
    constant: Scores
    left_move: Scores
    champion: Scores | None
    champion_name: str
    all_rows: Scores
    reliability: list[ReliabilityBin]
    curve: Curve
    left_move_curve: Curve


class Report(TypedDict):
    """What a version was made of and how it did. An imported version has no folds.

    `deciles` are each feature's over the candidates it was trained on: what drift is measured against.
    """

    data: Data
    label: str
    trained: Period | None
    folds: list[Fold]
    walk_forward: Scores | None
    holdout: Holdout | None
    importance: list[Importance]
    deciles: NotRequired[dict[str, list[float]]]
    seconds: dict[str, float]


class LogLine(TypedDict):
    """A line of a run's log; `at` is wall time."""

    at: str
    text: str


class Check(TypedDict):
    """One condition of the gate with its number."""

    name: str
    ok: bool
    text: str
    value: float | None
    limit: float | None


class Verdict(TypedDict):
    """The gate's verdict. `outcome` is promote, keep or insufficient; `alpha` shrinks with `attempt`."""

    outcome: str
    text: str
    attempt: int
    alpha: float
    against: str
    period: Period | None
    rows: int
    positives: int
    checks: list[Check]


# The key of stored results and of the API.
_Finding = TypedDict("_Finding", {"found": str})  # noqa: UP013 - no name to bind in code


class ProofResult(_Finding):
    """One test of the honesty suite: its claim and what was `found`. `share` where trials are counted."""

    name: str
    ok: bool
    claim: str
    trials: int | None
    count: int | None
    share: Interval | None
    detail: NotRequired[list[str]]
