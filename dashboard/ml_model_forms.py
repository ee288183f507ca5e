"""Forms of models: what to train, and why a model is put in charge."""

from dataclasses import replace

from django import forms
from django.http import QueryDict

from dashboard.forms import DeskForm
from dashboard.selectors.ml_models import market_text
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.labels import PROFILES
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey


class TrainForm(DeskForm):
    """What to train: candles of which market, which label, which estimator."""

    PROFILES = (
        ("default", "Moves of 1 σ (the default)", "Scaled to what the market moves by itself: 6 to 8.5 % of real "
         "5m bars are a reversal, in calm and wild years alike. Training is possible on it."),
        ("strict", "Moves of 1.5 σ", "Scaled too, but rarer: about 2 % of real 5m bars."),
        ("half-percent", "Moves of 0.5 % of the price", "About 4 % of real 5m bars: many in wild weeks, few in "
         "calm ones."),
        ("inventory", "Moves of 2 % of the price (2.5's label)", "Almost never true: 371 of 479,126 real 5m bars. "
         "Expect “not enough evidence”."),
    )  # fmt: skip
    family = forms.ChoiceField(label="Market")
    profile = forms.ChoiceField(label="What counts as a reversal", initial="default")
    estimator = forms.ChoiceField(
        label="Estimator",
        help_text="The default learns in seconds. On these labels the others are no better, and slower.",
    )

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, object] | None = None) -> None:
        super().__init__(data, initial=initial)
        # Only here: scikit-learn takes a second to import, and other pages do without it.
        from mlmodels.pipeline.estimators import NAMES

        keys = families.all_families()
        self.keys = {market_name(key): key for key in keys}
        self._offer("family", [(name, market_text(key)) for name, key in self.keys.items()])
        self._offer("profile", [row[:2] for row in self.PROFILES])
        self._offer("estimator", [(name, name) for name in NAMES])
        preset = next((key for key in keys if key.slug == self.initial.get("family")), None)
        self.initial["family"] = market_name(preset) if preset else ""

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    @property
    def profiles(self) -> list[dict[str, object]]:
        """Each label with what is known of how rare it is, for radio buttons."""
        chosen = self["profile"].value()
        return [
            {"value": value, "name": name, "text": text, "checked": value == chosen}
            for value, name, text in self.PROFILES
        ]

    def recipe(self) -> tuple[FamilyKey, Recipe]:
        """Return the family and its recipe with what was chosen."""
        market = self.keys[self.cleaned_data["family"]]
        key = replace(market, label=PROFILES[self.cleaned_data["profile"]])
        return key, families.recipe_of(key, estimator=self.cleaned_data["estimator"])


def market_name(key: FamilyKey) -> str:
    """Return a family's market in an address: 300-real."""
    return f"{key.timeframe}-{'simulated' if key.simulated else 'real'}"


class ReasonForm(DeskForm):
    """Why a model is put in charge or taken out; it stands in the history for good."""

    reason = forms.CharField(max_length=500, min_length=3, help_text="Kept in the history with your name.")
