"""What a model's prediction means for a side. Pure.

A predicted reversal of a rise (a peak) opposes being long and supports being short; of a fall (a trough) the
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


def evidence(prediction: LatestPrediction, side: str) -> PredictionEvidence:
    """Return what is kept of a prediction with a decision about `side` (long, short, flat)."""
    side_stance = stance(prediction.side, side)
    return {
        "version": prediction.version,
        "family": prediction.family,
        "probability": prediction.probability if prediction.version else None,
        "side": prediction.side,
        "candidate": prediction.is_candidate,
        "stance": side_stance,
        "open_time": prediction.open_time.isoformat() if prediction.open_time else None,
        "text": prediction.inactive_reason or _text(prediction, side_stance, side),
    }


def _text(prediction: LatestPrediction, side_stance: Stance, side: str) -> str:
    if not prediction.is_candidate:
        return "no move that could be reversed"
    about = "" if side_stance == "silent" else f": {side_stance} {side}"
    return f"a {prediction.side} with {prediction.probability:.0%}{about}"
