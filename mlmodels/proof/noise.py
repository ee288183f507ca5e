"""Experiments 3 and 4: where there is nothing to find, nothing is found. Pure."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlmodels import labels
from mlmodels.dataset import Dataset
from mlmodels.proof import markets
from mlmodels.proof.counting import MOST_WRONG, mean_of, promotions
from mlmodels.proof.exact import Share
from mlmodels.proof.subject import WINDOW_BARS, Subject
from mlmodels.proof.trials import Trial, attempt
from mlmodels.report import ProofResult

SHUFFLE, RANDOM_WALK = "shuffle", "random walk"
#: Candidates whose labels move together: more than the reach of a label, so that neighbours stay alike.
TOGETHER = 48


def shuffle(subject: Subject, trials: int, tell: Share) -> ProofResult:
    """Show that the gate does not promote what was trained and judged on permuted labels."""
    verdicts = []
    for number in range(trials):
        made = attempt(
            subject.window(number, trials), subject.timeframe, subject.schema, subject.recipe.with_seed(number),
            change=permuted(number),
        )  # fmt: skip
        verdicts.append(made.verdict)
        tell((number + 1) / trials)
    return promotions(
        SHUFFLE,
        "with permuted labels, at most 5 % of models are promoted",
        verdicts,
        "at most",
        MOST_WRONG,
        [
            f"labels of candidates are permuted over the whole window, in blocks of {TOGETHER}, another way each time",
        ],
    )


def permuted(seed: int) -> Callable[[Dataset], Dataset]:
    """Return what permutes the labels of candidates in blocks, so that they stay as clustered as they were."""

    def change(data: Dataset) -> Dataset:
        where = np.flatnonzero(data.side != labels.NONE)
        blocks = np.array_split(where, max(1, len(where) // TOGETHER))
        order = np.random.default_rng(seed).permutation(len(blocks))
        moved = data.reversal.copy()
        moved[where] = data.reversal[np.concatenate([blocks[number] for number in order])]
        return replace(data, reversal=moved)

    return change


def random_walk(subject: Subject, trials: int, tell: Share) -> ProofResult:
    """Show that on a market without signal the gate does not promote, and that no skill is measured."""
    recipe = replace(subject.recipe, label=markets.RULE, holdout_days=14, history_days=35, bars_per_day=288.0)
    made: list[Trial] = []
    for number in range(trials):
        series = markets.without_signal(1000 + number, WINDOW_BARS)
        made.append(attempt(series, markets.TIMEFRAME, subject.schema, recipe.with_seed(number)))
        tell((number + 1) / trials)
    skills = {
        "the constant forecast": mean_of([trial.over_constant for trial in made]),
        "the left move": mean_of([trial.over_left_move for trial in made]),
    }
    result = promotions(
        RANDOM_WALK,
        "on a simulated market of independent moves at most 5 % are promoted, and mean skill is not above zero",
        [trial.verdict for trial in made],
        "at most",
        MOST_WRONG,
        [
            f"mean skill over {name} {skill['value']:+.4f}, 90 % interval {skill['low']:+.4f} to {skill['high']:+.4f}"
            for name, skill in skills.items()
        ],
    )
    return result | {"ok": result["ok"] and all(skill["low"] <= 0 for skill in skills.values())}
