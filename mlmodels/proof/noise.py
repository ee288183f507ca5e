"""Experiments 3 and 4: where there is nothing to find, nothing is found. Pure."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlmodels.pipeline import labels
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof import markets
from mlmodels.proof.subject import WINDOW_BARS, Subject
from mlmodels.proof.thresholds import MOST_WRONG, interval_text, mean_of, promotions
from mlmodels.proof.trials import Trial, attempt
from mlmodels.proof.truncation import ShareCallback

SHUFFLE, RANDOM_WALK = "shuffle", "random walk"
#: Candidates whose labels move together: more than the reach of a label, so that neighbours stay alike.
TOGETHER = 48
HOW_SHUFFLED = f"labels of candidates are permuted in blocks of {TOGETHER} over the whole window, each time anew"


def shuffle(subject: Subject, trials: int, progress: ShareCallback) -> ProofResult:
    """Show that the gate does not promote what was trained and judged on permuted labels."""
    verdicts = []
    for number in range(trials):
        window, recipe = subject.window(number, trials), subject.recipe.with_seed(number)
        trial = attempt(window, subject.timeframe, subject.schema, recipe, change=permuted(number))
        verdicts.append(trial.verdict)
        progress((number + 1) / trials)
    claim = "with permuted labels at most 5 % of models are promoted"
    return promotions(SHUFFLE, claim, verdicts, "at most", MOST_WRONG, [HOW_SHUFFLED])


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


def random_walk(subject: Subject, trials: int, progress: ShareCallback) -> ProofResult:
    """Show that on a market without signal the gate does not promote, and that no skill is measured."""
    recipe, results = markets.recipe(subject.recipe, WINDOW_BARS), list[Trial]()
    for number in range(trials):
        series = markets.without_signal(1000 + number, WINDOW_BARS)
        results.append(attempt(series, markets.TIMEFRAME, subject.schema, recipe.with_seed(number)))
        progress((number + 1) / trials)
    skills = {
        "the constant forecast": mean_of([trial.over_constant for trial in results]),
        "the left move": mean_of([trial.over_left_move for trial in results]),
    }
    claim = "on a simulated market of independent moves at most 5 % are promoted; mean skill is not above zero"
    words = [f"mean skill over {name}: {interval_text(skill)}" for name, skill in skills.items()]
    result = promotions(
        RANDOM_WALK, claim, [trial.verdict for trial in results], "at most", MOST_WRONG, words
    )  # fmt: skip
    result["ok"] = result["ok"] and all(skill["low"] <= 0 for skill in skills.values())
    return result
