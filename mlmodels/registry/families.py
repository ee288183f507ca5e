"""Families: models that may replace one another, as they predict the same of the same kind of candles."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Unpack

from django.db.models import QuerySet

from algotrendy.isolation.rows import each
from market.bars import timeframe_text
from market.models import MarketKind, Quote
from market.selectors import simulated_speed
from market.series import Series, known_series
from mlmodels.models import ModelVersion
from mlmodels.pipeline.config import Recipe, RecipeChanges
from mlmodels.pipeline.labels import PROFILES, LabelRule

DAY = 86_400
READ = "mlmodels.families"


@dataclass(frozen=True)
class FamilyKey:
    """Timeframe (seconds), whether the market is made up, and what the label is."""

    timeframe: int
    simulated: bool
    label: LabelRule = field(default_factory=LabelRule)

    def __str__(self) -> str:
        return self.slug

    @property
    def slug(self) -> str:
        """Name in the database and in addresses: reversal-5m-real; another label than the default's is named."""
        kind = "simulated" if self.simulated else "real"
        name = f"reversal-{timeframe_text(self.timeframe)}-{kind}"
        return name if self.label == PROFILES["default"] else f"{name}-{_label_slug(self.label)}"

    @property
    def text(self) -> str:
        """In words."""
        kind = "simulated" if self.simulated else "real"
        return f"{timeframe_text(self.timeframe)} candles, {kind}, {self.label.text}"


def _label_slug(rule: LabelRule) -> str:
    size = f"{rule.threshold:g}".replace(".", "p")
    return f"{rule.kind}-{size}-{rule.window}"


def is_simulated(kind: str) -> bool:
    """Return whether prices of this kind are made up."""
    return kind == MarketKind.SIMULATED


def of_version(version: ModelVersion) -> FamilyKey:
    """Return the family of a stored version. Raises an error of any kind where the stored recipe is none."""
    return FamilyKey(version.timeframe, version.simulated, Recipe.from_json(version.recipe).label)


def of_market(timeframe: int, kind: str) -> FamilyKey:
    """Return the family that predicts for an instrument whose candles are of `timeframe` and `kind`."""
    return FamilyKey(timeframe, is_simulated(kind))


def all_families() -> list[FamilyKey]:
    """Return the families of all candles that there are and of all stored versions, by name. Two queries.

    A version whose recipe can't be read names no family: `check_recipes` puts it on the page Health.
    """
    keys = {*with_candles(), *(key for version in _one_of_each() if (key := _readable(version)))}
    return sorted(keys, key=lambda key: key.slug)


def check_recipes() -> None:
    """Read a version of each family; one that can't be read is on the page Health until it can."""
    each(READ, _one_of_each(), of_version, complete=True)


def _readable(version: ModelVersion) -> FamilyKey | None:
    try:
        return of_version(version)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def with_candles() -> list[FamilyKey]:
    """Return the families of all candles that there are, by name. One query."""
    keys = {of_market(series.timeframe, series.kind) for series in known_series()}
    return sorted(keys, key=lambda key: key.slug)


def _one_of_each() -> QuerySet[ModelVersion]:
    rows = ModelVersion.objects.order_by("family", "-id").distinct("family")
    return rows.only("family", "name", "timeframe", "simulated", "recipe")


def series_of(key: FamilyKey) -> list[Series]:
    """Return the series that this family learns from and predicts for, by symbol."""
    return [
        series
        for series in known_series()
        if series.timeframe == key.timeframe and is_simulated(series.kind) == key.simulated
    ]


def bars_per_day(key: FamilyKey) -> float:
    """Return how many bars a day has. In a simulated market it is a day of the movement that its bars have."""
    return DAY / (key.timeframe * (simulated_speed(key.timeframe) if key.simulated else 1.0))


def recipe_of(key: FamilyKey, **changes: Unpack[RecipeChanges]) -> Recipe:
    """Return the default recipe of a family, with `changes`. Raises ValueError for what can't be used."""
    return Recipe(label=key.label, bars_per_day=bars_per_day(key), **changes)


def quoted_families() -> list[FamilyKey]:
    """Return the families of the markets that instruments have a price in now, by name."""
    pairs = Quote.objects.values_list("timeframe", "kind").distinct().order_by()
    return sorted({of_market(timeframe, kind) for timeframe, kind in pairs}, key=lambda key: key.slug)


def most_candles(*, simulated: bool, timeframe: int | None = None) -> int | None:
    """Return the timeframe (seconds) in which most candles span, of one kind of market; None if there are none."""
    bars: Counter[int] = Counter()
    for series in known_series():
        if is_simulated(series.kind) == simulated and timeframe in (None, series.timeframe):
            bars[series.timeframe] += series.bars
    return bars.most_common(1)[0][0] if bars else None
