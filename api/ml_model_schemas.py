"""What the API answers about models. Probabilities are fractions of one; a model's bytes are never given out."""

from datetime import datetime

from ninja import Field, Schema

from mlmodels.models import ModelVersion, Promotion


class PromotionOut(Schema):
    """A change of champion: who or what decided it, and why. `previous` is empty for the first."""

    id: int
    family: str
    version: str = Field(alias="version_name")
    previous: str = Field(alias="previous_name")
    kind: str
    by: str
    reason: str
    at: datetime

    @staticmethod
    def resolve_by(row: Promotion) -> str:
        """Return who did it; empty if nobody had to."""
        return row.by.get_username() if row.by else ""


class ModelOut(Schema):
    """One version. `trained_from` and `trained_to` are market time; `expires_at` counts for a champion only."""

    id: int
    name: str
    family: str
    timeframe: int
    market: str
    state: str
    origin: str
    feature_schema: str = Field(alias="schema")
    schema_hash: str
    threshold: float | None
    trained_from: datetime | None
    trained_to: datetime | None
    training_rows: int | None
    outcome: str
    created_at: datetime
    promoted_at: datetime | None
    expires_at: datetime | None
    notes: list[str]

    @staticmethod
    def resolve_outcome(row: ModelVersion) -> str:
        """Return what the gate said in one word; empty if it was never judged."""
        return str((row.verdict or {}).get("outcome", ""))

    @staticmethod
    def resolve_expires_at(row: ModelVersion) -> datetime | None:
        """Return when a champion expires."""
        return row.expires_at if row.state == row.State.CHAMPION else None


class ModelDetail(ModelOut):
    """A version with its recipe, report, the gate's verdict, and what an imported folder claimed."""

    recipe: dict[str, object]
    report: dict[str, object]
    verdict: dict[str, object]
    claimed: dict[str, object]
    promotions: list[PromotionOut]

    @staticmethod
    def resolve_promotions(row: ModelVersion) -> list[Promotion]:
        """Return the changes that made it champion, newest first."""
        return list(row.promotions.all())


class PredictionOut(Schema):
    """What a version said about one bar, known from its close on. `label` is None until it is known."""

    id: int
    version: str = Field(alias="version.name")
    symbol: str = Field(alias="instrument.symbol")
    timeframe: int
    open_time: datetime
    market: str
    side: str
    probability: float
    label: bool | None
    void: bool
    made_at: datetime
    labelled_at: datetime | None
