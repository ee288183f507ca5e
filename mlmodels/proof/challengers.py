"""Experiments 5 and 6: an equal model does not replace the incumbent, a better one does. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from market.bars import Bars
from mlmodels.pipeline.features import slice_bars
from mlmodels.pipeline.incumbent import Incumbent
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof import markets
from mlmodels.proof.subject import WINDOW_BARS, Subject
from mlmodels.proof.thresholds import LEAST_FOUND, MOST_WRONG, interval_text, mean_of, promotions
from mlmodels.proof.trials import Trial, attempt
from mlmodels.proof.truncation import ShareCallback

SAME, POWER = "A/A", "power"
#: Boosting without any draw gives the same model for every seed. With this the seed draws for each split of a tree
#: which half of the features it may use. The rows stay the same: models of different rows do differ in truth, and
#: a gate that finds the better one is right.
DRAWN = {"max_features": 0.5}
HOW_DRAWN = (
    "both learn from the same rows; the seed draws the half of the features that each split of a tree may use"
)


def same_recipe(subject: Subject, trials: int, progress: ShareCallback) -> ProofResult:
    """Show that a model of the same recipe and the same rows, with another seed, is not promoted."""
    verdicts = []
    for number in range(trials):
        series = subject.window(number, trials)
        incumbent = _drawn(subject, series, 2 * number, None)
        challenger = _drawn(subject, series, 2 * number + 1, incumbent.as_incumbent(subject.schema))
        verdicts.append(challenger.verdict)
        progress((number + 1) / trials)
    claim = "the same recipe with another seed is promoted in about 5 %, no more than one trial in twenty"
    return promotions(SAME, claim, verdicts, "at most", MOST_WRONG, [HOW_DRAWN])


def _drawn(subject: Subject, series: Mapping[str, Bars], seed: int, incumbent: Incumbent | None) -> Trial:
    recipe = subject.recipe.with_seed(seed)
    if recipe.estimator == "HistGradientBoosting":
        recipe = replace(recipe, parameters={**recipe.parameters, **DRAWN})
    return attempt(series, subject.timeframe, subject.schema, recipe, incumbent=incumbent)


def power(subject: Subject, trials: int, progress: ShareCallback) -> ProofResult:
    """Show that a model which has seen a real effect replaces one which was trained before it began."""
    results = []
    for number in range(trials):
        results.append(_before_and_after(subject, number))
        progress((number + 1) / trials)
    skill = mean_of([trial.over_constant for trial in results])
    effect = (
        f"simulated: a price {markets.STRETCH:g} σ away from its {markets.MEAN}-bar mean is pulled back by "
        f"{markets.PULL:g} σ in each of the next {markets.PULLED} bars, from the middle of the history on"
    )
    skill_text = f"what a model finds of it: skill {interval_text(skill)} over the constant forecast"
    claim = "a model that has seen an injected effect replaces one from before it in at least 80 %"
    return promotions(
        POWER, claim, [trial.verdict for trial in results], "at least", LEAST_FOUND, [effect, skill_text]
    )  # fmt: skip


def _before_and_after(subject: Subject, number: int) -> Trial:
    recipe = markets.recipe(subject.recipe, 2 * WINDOW_BARS).with_seed(number)
    series = markets.with_effect(2000 + number, 2 * WINDOW_BARS, WINDOW_BARS)
    before = {symbol: slice_bars(bars, slice(WINDOW_BARS)) for symbol, bars in series.items()}
    earlier = attempt(before, markets.TIMEFRAME, subject.schema, recipe)
    return attempt(
        series, markets.TIMEFRAME, subject.schema, recipe, incumbent=earlier.as_incumbent(subject.schema)
    )
