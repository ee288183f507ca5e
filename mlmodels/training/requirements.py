"""Whether there are candles enough to train on, and new ones. Looked up often, so without scikit-learn."""

from datetime import datetime, timedelta

from django.utils import timezone

from mlmodels.models import TrainingRun
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.splits import least_bars
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey
from mlmodels.training import runs


def needed_bars(recipe: Recipe) -> int:
    """Return how long a history (bars of the clock) the recipe needs at least."""
    return least_bars(recipe) + SCHEMAS[recipe.schema].look_back + 2 * recipe.label.window


def read_since(timeframe: int) -> datetime | None:
    """Return the open time (market time) of the oldest candle that a training of a simulated market would read.

    None if there are no such candles. What waits or runs may have a recipe of its own.
    """
    key = FamilyKey(timeframe, simulated=True)
    newest = max((one.last for one in families.series_of(key)), default=None)
    if newest is None:
        return None
    rows = TrainingRun.objects.filter(family=key.slug, state__in=TrainingRun.LIVE).values_list("recipe", flat=True)
    recipes = [families.recipe_of(key), *(Recipe.from_json(recipe) for recipe in rows)]
    bars = max(recipe.history_days * recipe.bars_per_day for recipe in recipes)
    return newest - timedelta(seconds=timeframe * (bars + max(schema.look_back for schema in SCHEMAS.values())))


def has_history(key: FamilyKey) -> bool:
    """Return whether the candles of a family span enough time for a first training."""
    return longest_history(key) >= needed_bars(families.recipe_of(key))


def longest_history(key: FamilyKey) -> int:
    """Return the bars from the first to the last candle of the family's longest series."""
    return max((one.bars for one in families.series_of(key)), default=0)


def has_new_candles(key: FamilyKey) -> bool:
    """Return whether a candle came since the family's last training began."""
    last = TrainingRun.objects.filter(family=key.slug, state=runs.State.SUCCEEDED).first()
    if last is None or last.version is None:
        return True
    known = max((row["last"] for row in last.version.report["data"]["symbols"]), default="")
    newest = max((one.last for one in families.series_of(key)), default=timezone.now())
    return not known or newest > datetime.fromisoformat(known)
