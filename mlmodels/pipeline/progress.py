"""The steps of a training, for whoever shows how far it is. Pure."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """The steps of a run, in order."""

    LOAD = "load"
    FEATURES = "features"
    LABELS = "labels"
    PREPARE = "prepare"
    WALK_FORWARD = "walk-forward"
    FIT = "fit"
    EVALUATE = "evaluate"
    GATE = "gate"
    SAVE = "save"


#: Share of a run that is over when a step begins.
BEGINS = {
    Step.LOAD: 0.0,
    Step.FEATURES: 0.08,
    Step.LABELS: 0.12,
    Step.PREPARE: 0.14,
    Step.WALK_FORWARD: 0.16,
    Step.FIT: 0.66,
    Step.EVALUATE: 0.78,
    Step.GATE: 0.94,
    Step.SAVE: 0.97,
}
#: Called with the step, the share of the run that is over, and a sentence for the log (or nothing).
ProgressCallback = Callable[[Step, float, str], None]


def ignore_progress(step: Step, share: float, text: str) -> None:
    """Take a report of progress and do nothing with it."""
