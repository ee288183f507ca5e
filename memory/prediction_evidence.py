"""What a model's prediction means for a side. Pure.

A predicted reversal of a rise (a peak) speaks against being long and for being short; of a fall (a trough) the
other way round.
"""

from typing import Literal

from memory.evidence import PredictionEvidence
from memory.intents import Intent
from mlmodels.inference.values import LatestPrediction

Stance = Literal["supports", "opposes", "silent"]
FAVOURS = {"peak": Intent.SHORT, "trough": Intent.LONG}


def stance(predicted: str, side: str) -> Stance:
    """Return whether a predicted peak or trough supports being long or short; silent where either is none."""
    favoured = FAVOURS.get(predicted)
    if favoured is None or side == Intent.FLAT:
        return "silent"
    return "supports" if side == favoured else "opposes"


def evidence(said: LatestPrediction, side: str) -> PredictionEvidence:
    """Return what is kept of a prediction with a decision about `side` (long, short, flat)."""
    taken = stance(said.side, side)
    return {
        "version": said.version,
        "family": said.family,
        "probability": said.probability if said.version else None,
        "side": said.side,
        "candidate": said.is_candidate,
        "stance": taken,
        "open_time": said.open_time.isoformat() if said.open_time else None,
        "text": said.silent_because or _text(said, taken, side),
    }


def _text(said: LatestPrediction, taken: Stance, side: str) -> str:
    if not said.is_candidate:
        return "no move that could be reversed"
    about = "" if taken == "silent" else f": {taken} {side}"
    return f"a {said.side} with {said.probability:.0%}{about}"
