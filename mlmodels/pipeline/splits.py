"""What is trained on and what is predicted, by time across all instruments: never by row. Pure.

A label looks `window` bars ahead and features look back; so between the last training row and the first predicted
one `window` bars are purged and `embargo` more left out. López de Prado, Advances in Financial Machine Learning,
ch. 7.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset, NotEnough

#: Share of the development period that walk-forward predicts; what comes before it is only trained on.
PREDICTED = 0.6
LEAST_TRAINING_BARS = 500
LEAST_FOLD_BARS = 288


class Window(NamedTuple):
    """Bars of the clock with `first <= time < last`."""

    first: int
    last: int

    @property
    def bars(self) -> int:
        """Its length."""
        return max(0, self.last - self.first)


@dataclass(frozen=True)
class Split:
    """One step of a walk-forward."""

    train: Window
    test: Window


@dataclass(frozen=True)
class Plan:
    """How a history is used: the folds, all that the final model may see, and what only the gate sees."""

    folds: tuple[Split, ...]
    development: Window
    holdout: Window


def plan(data: Dataset, recipe: Recipe) -> Plan:
    """Cut the history of `data`. Raises NotEnough if it is too short for the recipe's hold-out and folds."""
    first, end = int(data.time[0]), int(data.time[-1]) + 1
    start = end - recipe.holdout_bars
    development = Window(first, start - recipe.purge)
    if end - first < least_bars(recipe):
        raise NotEnough(
            f"{(end - first) / recipe.bars_per_day:.1f} days of candles are too few: "
            f"{least_bars(recipe) / recipe.bars_per_day:.1f} are needed, "
            f"{recipe.holdout_days} of them for the gate alone"
        )
    return Plan(tuple(walk_forward(development, recipe)), development, Window(start, end))


def least_bars(recipe: Recipe) -> int:
    """Return how many bars of the clock known rows must span."""
    first_fold = LEAST_TRAINING_BARS + recipe.purge
    development = max(math.ceil(first_fold / (1 - PREDICTED)), recipe.folds * LEAST_FOLD_BARS)
    return development + recipe.purge + recipe.holdout_bars


def walk_forward(development: Window, recipe: Recipe) -> list[Split]:
    """Return equally long test periods, oldest first, each with everything before it but the purge."""
    length = int(development.bars * PREDICTED) // recipe.folds
    starts = [development.last - length * number for number in range(recipe.folds, 0, -1)]
    return [
        Split(Window(development.first, start - recipe.purge), Window(start, start + length)) for start in starts
    ]


def unseen(holdout: Window, trained_to: int | None, embargo: int) -> Window:
    """Return the part of `holdout` that a model which saw the clock up to `trained_to` has never seen.

    `trained_to` is the first bar of the clock that was seen in no way, also not by a label; None: it saw nothing.
    """
    if trained_to is None:
        return holdout
    return Window(min(max(holdout.first, trained_to + embargo), holdout.last), holdout.last)
