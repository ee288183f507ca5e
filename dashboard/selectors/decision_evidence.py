"""What a decision rested on, for its page: the record level by level, and the limits that were checked."""

from decimal import Decimal

from dashboard.charts import svg
from dashboard.formatting import counted, decimal_of, isolated
from memory.evidence import STRENGTH, CheckEvidence
from memory.intents import Intent
from memory.models import Decision

EVIDENCE_IS_THIN_BELOW = 30  # cases

CHECK_NAMES = {
    "desk_state": "Desk state",
    "daily_loss": "Daily loss",
    "open_positions": "Open positions",
    "order_size": "Order size",
    "position_size": "Position size",
    "min_notional": "Venue's minimum",
}


def waterfall(decision: Decision, source: str) -> svg.Waterfall | None:
    """Return the evidence as bars, or None where no side was asked for: a signal that closes has no odds."""
    evidence = decision.evidence
    if decision.confidence is None or decision.intent == Intent.FLAT:
        return None
    levels = [
        (level_name(decision, source, level["name"]), level["wins"], level["cases"], level["mean"])
        for level in evidence["levels"]
    ]
    belief = (decision.confidence, decision.confidence_low or 0.0, decision.confidence_high or 1.0)
    return svg.waterfall(evidence["base"]["mean"], levels, belief, decision.break_even)


def level_name(decision: Decision, source: str, name: str) -> str:
    """Return the name of a level of the record with what it stands for here; `source` is the source's name."""
    named = {
        "desk": "The whole desk",
        "source": f"Source {source}",
        "instrument and side": f"{source}, {decision.instrument.symbol} {decision.intent}",
    }
    return named.get(name, name.capitalize())


def is_thin(decision: Decision) -> bool:
    """Return whether the narrowest level has too few cases for its rate to mean much."""
    levels = decision.evidence["levels"]
    return not levels or levels[-1]["cases"] < EVIDENCE_IS_THIN_BELOW


def rests_on(decision: Decision, source: str) -> str:
    """Return what most of the confidence comes from: the base rate, or a level of the record.

    Each level leaves `STRENGTH / (STRENGTH + cases)` of its weight to what is above it.
    """
    shares, left = {}, 1.0
    for level in reversed(decision.evidence["levels"]):
        own = level["cases"] / (level["cases"] + STRENGTH)
        name = level_name(decision, isolated(source), level["name"])
        shares[f"{name}, {counted(level['cases'], 'case')}"] = left * own
        left *= 1 - own
    return max([("the base rate", left), *shares.items()], key=lambda share: share[1])[0]


def checks(decision: Decision) -> list[dict[str, object]]:
    """Return the limits that were checked, with names for people and whether each made the order smaller."""
    by_name: dict[str, CheckEvidence] = {check["name"]: check for check in decision.evidence["checks"]}
    return [
        {
            **check,
            "label": CHECK_NAMES.get(check["name"], check["name"].replace("_", " ").capitalize()),
            "bound": check["ok"] and check["name"] in _binding(by_name),
        }
        for check in decision.evidence["checks"]
    ]


def _binding(by_name: dict[str, CheckEvidence]) -> set[str]:
    """Return which of the two limits of size decided the size: the one that left less, if that was too little."""
    order, position = by_name.get("order_size"), by_name.get("position_size")
    if order is None or position is None:
        return set()
    wanted = _number(order["value"])
    room = {
        "order_size": _number(order["limit"]),
        "position_size": _number(position["limit"]) - (_number(position["value"]) - wanted),
    }
    least = min(room.values())
    return {name for name, left in room.items() if left == least} if least < wanted else set()


def _number(text: str) -> Decimal:
    return decimal_of(text) or Decimal(0)
