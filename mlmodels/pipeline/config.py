"""The recipe of a model: everything that decides what comes out of a training, as one stored value. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self, TypedDict

from mlmodels.pipeline.labels import LabelRule

#: Of an estimator, by their names: numbers, words or nothing.
Parameters = Mapping[str, str | int | float | None]


class RecipeChanges(TypedDict, total=False):
    """What a caller may change in a family's recipe; see `Recipe`."""

    schema: str
    estimator: str
    parameters: Parameters
    seed: int
    symbols: tuple[str, ...]
    history_days: int
    holdout_days: int
    folds: int
    embargo: int
    importance: bool


@dataclass(frozen=True)
class Recipe:
    """What to train and how to judge it.

    `symbols` are the instruments to learn from; none named: all that have such candles.
    `history_days` of candles are read at most. The last `holdout_days` are the gate's; in what is left before them
    `folds` periods of equal length are predicted one after another from what came before each. Times are in days
    of `bars_per_day` bars. `embargo` (bars) is left out between training and what is predicted, on top of the
    label's window.
    """

    schema: str = "desk-1"
    label: LabelRule = field(default_factory=LabelRule)
    estimator: str = "HistGradientBoosting"
    parameters: Parameters = field(default_factory=dict)
    seed: int = 42
    symbols: tuple[str, ...] = ()
    history_days: int = 365
    holdout_days: int = 21
    folds: int = 5
    embargo: int = 288
    bars_per_day: float = 288.0
    importance: bool = True

    def __post_init__(self) -> None:
        problems = [
            (self.folds < 2 or self.folds > 20, "folds are 2 to 20"),
            (self.holdout_days < 1, "the hold-out is at least a day"),
            (self.history_days <= self.holdout_days, "the history must be longer than the hold-out"),
            (self.embargo < 0, "the embargo is not negative"),
            (not self.bars_per_day > 0, "a day has bars"),
        ]
        for wrong, text in problems:
            if wrong:
                raise ValueError(f"the recipe can't be used: {text}")

    @property
    def purge(self) -> int:
        """Bars between the last training row and the first predicted one."""
        return self.label.window + self.embargo

    @property
    def holdout_bars(self) -> int:
        """Length of the gate's window in bars of the clock."""
        return round(self.holdout_days * self.bars_per_day)

    def with_seed(self, seed: int) -> Self:
        """Return the same recipe with another seed."""
        return replace(self, seed=seed)

    def as_json(self) -> dict[str, object]:
        """Return what is stored in a run's and a version's row."""
        return asdict(self) | {"parameters": dict(self.parameters)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the recipe that `as_json` stored. Raises ValueError for what it does not know."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(stored) - known):
            raise ValueError(f"a recipe has no {', '.join(unknown)}")
        values = dict(stored)
        values["symbols"] = tuple(values.get("symbols", ()))
        if "label" in values:
            values["label"] = LabelRule(**values["label"])
        return cls(**values)

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()
