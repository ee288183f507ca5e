"""Experiments 5 and 6: an equal model does not replace the incumbent, a better one does. Pure."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from market.bars import Bars
from mlmodels.dataset import Dataset
from mlmodels.features import cut
from mlmodels.proof import markets
from mlmodels.proof.counting import LEAST_FOUND, MOST_WRONG, mean_of, promotions
from mlmodels.proof.exact import Share
from mlmodels.proof.subject import WINDOW_BARS, Subject
from mlmodels.proof.trials import Change, Trial, attempt
from mlmodels.recipe import Recipe
from mlmodels.report import ProofResult
from mlmodels.retrainer import Incumbent

SAME, POWER = "A/A", "power"
#: Boosting without any draw gives the same model for every seed. So the seed draws: of each five days of training
#: four, and which half of the features each split of a tree may use.
DAYS_KEPT = 0.8
DRAWN = {"max_features": 0.5}


def same_recipe(subject: Subject, trials: int, tell: Share) -> ProofResult:
    """Show that a model of the same recipe and the same history, with another seed, is not promoted."""
    verdicts = []
    for number in range(trials):
        series = subject.window(number, trials)
        holder = _drawn(subject, series, 2 * number, None)
        rival = _drawn(subject, series, 2 * number + 1, holder.as_incumbent(subject.schema))
        verdicts.append(rival.verdict)
        tell((number + 1) / trials)
    return promotions(
        SAME,
        "the same recipe with another seed is promoted in at most 5 %",
        verdicts,
        "at most",
        MOST_WRONG,
        [
            f"the seed draws {DAYS_KEPT:.0%} of the training days, and half of the features for each split of a tree"
        ],
    )


def _drawn(subject: Subject, series: Mapping[str, Bars], seed: int, incumbent: Incumbent | None) -> Trial:
    recipe = subject.recipe.with_seed(seed)
    if recipe.estimator == "HistGradientBoosting":
        recipe = replace(recipe, parameters={**recipe.parameters, **DRAWN})
    change = some_days(recipe)
    return attempt(series, subject.timeframe, subject.schema, recipe, incumbent=incumbent, change=change)


def some_days(recipe: Recipe) -> Change:
    """Return what leaves out the training days that the recipe's seed did not draw; the hold-out stays whole."""

    def change(data: Dataset) -> Dataset:
        day = ((data.time - data.time[0]) / recipe.bars_per_day).astype(np.int64)
        kept = np.random.default_rng(recipe.seed).random(int(day[-1]) + 1) < DAYS_KEPT
        return data.where(kept[day] | (data.time > data.time[-1] - recipe.holdout_bars))

    return change


def power(subject: Subject, trials: int, tell: Share) -> ProofResult:
    """Show that a model which has seen a real effect replaces one which was trained before it began."""
    recipe = replace(subject.recipe, label=markets.RULE, holdout_days=14, history_days=70, bars_per_day=288.0)
    made = []
    for number in range(trials):
        series = markets.with_effect(2000 + number, 2 * WINDOW_BARS, WINDOW_BARS)
        before = {symbol: cut(bars, slice(WINDOW_BARS)) for symbol, bars in series.items()}
        holder = attempt(before, markets.TIMEFRAME, subject.schema, recipe.with_seed(number))
        rival = holder.as_incumbent(subject.schema)
        made.append(attempt(series, markets.TIMEFRAME, subject.schema, recipe.with_seed(number), incumbent=rival))
        tell((number + 1) / trials)
    skill = mean_of([trial.over_constant for trial in made])
    return promotions(
        POWER,
        "a model that has seen an injected effect replaces one from before it in at least 80 %",
        [trial.verdict for trial in made],
        "at least",
        LEAST_FOUND,
        [
            f"simulated: a price {markets.STRETCH:g} σ away from its {markets.MEAN}-bar mean is pulled back by "
            f"{markets.PULL:g} σ in each of the next {markets.PULLED} bars, from the middle of the history on",
            f"what can be found of it: skill {skill['value']:.3f} over the constant forecast "
            f"(90 % interval {skill['low']:.3f} to {skill['high']:.3f})",
        ],
    )
