"""A recipe, as it is stored and read again, and a list of features, as it is recognised."""

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from mlmodels.pipeline import features
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.feature_schemas import V25_OF_20251016, V25_OF_20251020, Recognised, recognise
from mlmodels.pipeline.features import DESK_1, V25
from mlmodels.pipeline.labels import LabelRule

PLAIN = Recipe()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"folds": 1}, "folds are 2 to 20"),
        ({"folds": 21}, "folds are 2 to 20"),
        ({"holdout_days": 0}, "the hold-out is at least a day"),
        ({"history_days": 21}, "the history must be longer than the hold-out"),
        ({"embargo": -1}, "the embargo is not negative"),
        ({"bars_per_day": 0.0}, "a day has bars"),
        ({"bars_per_day": float("nan")}, "a day has bars"),
    ],
)
def test_a_recipe_that_cannot_be_used_says_why(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=rf"^the recipe can't be used: {says}$"):
        Recipe(**wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"folds": 2},
        {"folds": 20},
        {"holdout_days": 1},
        {"history_days": 22},
        {"embargo": 0},
        {"bars_per_day": 0.5},
    ],
)
def test_a_recipe_may_be_as_small_and_as_large_as_it_says(right: dict[str, Any]) -> None:
    assert replace(PLAIN, **right) != PLAIN


def test_a_recipe_counts_in_bars_of_the_clock() -> None:
    recipe = Recipe(label=LabelRule(window=7), embargo=30, holdout_days=3, bars_per_day=10.6)
    assert (recipe.purge, recipe.holdout_bars) == (37, 32)


def test_another_seed_is_another_recipe_and_nothing_else_of_it_changes() -> None:
    assert PLAIN.with_seed(7) == Recipe(seed=7)
    assert PLAIN.with_seed(7).digest != PLAIN.digest


def test_a_recipe_is_read_as_it_was_stored() -> None:
    recipe = Recipe(symbols=("BTCUSDT", "ETHUSDT"), label=LabelRule("fixed", 0.02), parameters={"max_depth": 3})
    stored = recipe.as_json()
    assert stored == asdict(recipe)
    assert type(stored["parameters"]) is dict
    again = Recipe.from_json(json.loads(json.dumps(stored)))
    assert again == recipe
    assert again.digest == recipe.digest == hashlib.sha256(
        json.dumps(json.loads(json.dumps(stored)), sort_keys=True).encode()
    ).hexdigest()  # fmt: skip
    assert Recipe.from_json({}) == PLAIN
    assert Recipe.from_json({"seed": 3}) == Recipe(seed=3)


def test_what_a_recipe_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match=r"^a recipe has no colour, size$"):
        Recipe.from_json({"size": 1, "colour": 2, "seed": 3})


@pytest.mark.parametrize("schema", [DESK_1, V25])
def test_a_schemas_own_list_is_that_schema(schema: features.Schema) -> None:
    assert recognise(list(schema.features)) == Recognised(
        schema, schema.name, schema.hash, (), f"Its features are {schema.text}."
    )


@pytest.mark.parametrize(
    ("names", "name", "called"),
    [
        (V25_OF_20251016, "v25-21", "2.5's 21 features of 20251016"),
        (V25_OF_20251020, "v25-39", "2.5's 39 features of 20251020"),
    ],
)
def test_the_lists_of_2_5_are_known_by_name(names: tuple[str, ...], name: str, called: str) -> None:
    recognised = recognise(names)
    known = {*DESK_1.features, *V25.features}
    missing = tuple(feature for feature in names if feature not in known)
    assert recognised == Recognised(
        None, name, hashlib.sha256(json.dumps(names).encode()).hexdigest(), missing,
        f"Its features are {called}. {len(missing)} of them have no definition here ({', '.join(missing)}), so it "
        "can't be scored on candles of this desk.",
    )  # fmt: skip
    assert "wick_up" in missing


def test_a_list_of_known_names_in_another_order_is_not_scored() -> None:
    assert recognise(V25.features[::-1]).text == (
        "Its features are a list of 12 features not seen before. Each name is known here, but no schema has them "
        "in this order, so it can't be scored on candles of this desk."
    )
    assert recognise(V25.features[::-1]).name == "unknown-12"


def test_one_unknown_name_is_spoken_of_in_the_singular() -> None:
    recognised = recognise(["rsi", "luck"])
    assert (recognised.schema, recognised.missing) == (None, ("luck",))
    assert recognised.text == (
        "Its features are a list of 2 features not seen before. 1 of them has no definition here (luck), so it "
        "can't be scored on candles of this desk."
    )
