"""The suite: all seven experiments in order, with progress. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from mlmodels.pipeline.dataset import NotEnough
from mlmodels.pipeline.leakage import LeakFound
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof import canary, challengers, noise, truncation
from mlmodels.proof.subject import Subject
from mlmodels.proof.truncation import ShareCallback

Experiment = Callable[[Subject, int, ShareCallback], ProofResult]
#: Called with the experiment that runs, the share of the suite that is over, and the results so far.
ProgressCallback = Callable[[str, float, list[ProofResult]], None]


def ignore_progress(name: str, share: float, results: list[ProofResult]) -> None:
    """Take a report of progress and do nothing with it."""


@dataclass(frozen=True)
class Trials:
    """How many bars, models or canaries each experiment looks at."""

    bars: int
    shuffle: int
    random_walk: int
    same_recipe: int
    power: int
    canary: int


FULL = Trials(bars=400, shuffle=60, random_walk=100, same_recipe=100, power=40, canary=5)
QUICK = Trials(bars=40, shuffle=6, random_walk=8, same_recipe=8, power=5, canary=1)


def experiments(trials: Trials) -> list[tuple[str, Experiment, int]]:
    """Return name, function and number of trials of each."""
    return [
        (truncation.TRUNCATION, truncation.truncation, trials.bars),
        (truncation.WARM_UP, truncation.warm_up, trials.bars),
        (noise.SHUFFLE, noise.shuffle, trials.shuffle),
        (noise.RANDOM_WALK, noise.random_walk, trials.random_walk),
        (challengers.SAME, challengers.same_recipe, trials.same_recipe),
        (challengers.POWER, challengers.power, trials.power),
        (canary.CANARY, canary.leak_canary, trials.canary),
    ]


def run(subject: Subject, progress: ProgressCallback, trials: Trials = FULL) -> list[ProofResult]:
    """Run everything and return the results; an experiment that could not be made does not hold.

    Trees are grown by one thread: many small fits are slower with several, and far slower on a busy machine.
    """
    results: list[ProofResult] = []
    planned = experiments(trials)
    with threadpool_limits(1):
        for number, (name, experiment, count) in enumerate(planned):

            def report_share(share: float, name: str = name, number: int = number) -> None:
                progress(name, (number + share) / len(planned), results)

            report_share(0.0)
            results.append(_result(name, experiment, subject, count, report_share))
            report_share(1.0)
    return results


def _result(
    name: str, experiment: Experiment, subject: Subject, count: int, progress: ShareCallback
) -> ProofResult:
    try:
        return experiment(subject, count, progress)
    except (NotEnough, LeakFound) as error:
        return {
            "name": name,
            "ok": False,
            "claim": "could not be shown",
            "found": f"the pipeline refused: {error}",
            "trials": None,
            "count": None,
            "share": None,
        }
