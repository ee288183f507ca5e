"""The suite: all seven experiments in order, with progress. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from mlmodels.pipeline.dataset import NotEnough
from mlmodels.pipeline.leakage import LeakFound
from mlmodels.pipeline.report import ProofResult
from mlmodels.proof import canary, challengers, noise, truncation
from mlmodels.proof.subject import Subject
from mlmodels.proof.truncation import Share

Experiment = Callable[[Subject, int, Share], ProofResult]
#: Called with the experiment that runs, the share of the suite that is over, and what has been found so far.
Tell = Callable[[str, float, list[ProofResult]], None]


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


def run(subject: Subject, tell: Tell, trials: Trials = FULL) -> list[ProofResult]:
    """Run everything and return what was found; an experiment that could not be made does not hold.

    Trees are grown by one thread: many small fits are slower with several, and far slower on a busy machine.
    """
    results: list[ProofResult] = []
    planned = experiments(trials)
    with threadpool_limits(1):
        for number, (name, experiment, count) in enumerate(planned):

            def told(share: float, name: str = name, number: int = number) -> None:
                tell(name, (number + share) / len(planned), results)

            told(0.0)
            results.append(_result(name, experiment, subject, count, told))
            told(1.0)
    return results


def _result(name: str, experiment: Experiment, subject: Subject, count: int, told: Share) -> ProofResult:
    try:
        return experiment(subject, count, told)
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
