"""What is kept of a decision: signal, plan and context as the evidence that is stored with it. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from brokers.risk import Check
from memory import prediction_evidence
from memory.agent import DecisionContext, Plan
from memory.barriers import Barriers
from memory.confidence import Confidence
from memory.evidence import (
    BaseEvidence,
    CheckEvidence,
    DeskEvidence,
    Evidence,
    LevelEvidence,
    PositionEvidence,
    QuoteEvidence,
    SizingEvidence,
)
from memory.trade_signal import TradeSignal

if TYPE_CHECKING:
    from market.models import Quote

UNKNOWN_BASE = 0.5


def build(signal: TradeSignal, plan: Plan, context: DecisionContext, quote: "Quote | None") -> Evidence:
    """Return everything that `plan` for `signal` rests on; `quote` is the price that was known."""
    base = plan.base if plan.base is not None else UNKNOWN_BASE
    confidence = plan.confidence or Confidence(mean=base, low=0.0, high=1.0, steps=())
    evidence: Evidence = {
        "base": _base(base),
        "levels": list(_levels(context, confidence)),
        "confidence": confidence.mean,
        "low": confidence.low,
        "high": confidence.high,
        "break_even": plan.break_even,
        "volatility": context.sigma,
        "quote": _quote(quote) if quote else None,
        "position": _position(context),
        "desk": _desk(context),
        "checks": [_check(check) for check in plan.checks],
        "notes": list(plan.notes),
        "signal": _signal(signal),
    }
    if context.prediction:
        evidence["prediction"] = prediction_evidence.evidence(context.prediction, plan.side)
    if plan.sizing and plan.barriers:
        evidence["sizing"] = _sizing(signal, plan, plan.barriers)
    return evidence


def _base(mean: float) -> BaseEvidence:
    return {"mean": mean, "text": "a market without edge: stop / (stop + target)"}


def _levels(context: DecisionContext, confidence: Confidence) -> Iterator[LevelEvidence]:
    """Yield the levels with the mean after each; none of a plan without confidence, which has no steps."""
    for level, mean in zip(context.levels, confidence.steps, strict=False):
        yield {"name": level.name, "wins": level.wins, "cases": level.cases, "mean": mean}


def _quote(quote: "Quote") -> QuoteEvidence:
    return {"price": _text(quote.price), "market_time": quote.market_time.isoformat(), "kind": quote.kind}


def _position(context: DecisionContext) -> PositionEvidence:
    return {"quantity": _text(context.position), "average_price": _text(context.average_price)}


def _desk(context: DecisionContext) -> DeskEvidence:
    return {
        "state": context.desk_state,
        "equity": _text(context.equity),
        "day_pnl": _text(context.day_pnl),
        "open_positions": context.open_positions,
    }


def _check(check: Check) -> CheckEvidence:
    return {
        "name": check.name,
        "ok": check.ok,
        "value": str(check.value),
        "limit": str(check.limit),
        "text": check.text,
    }


def _signal(signal: TradeSignal) -> dict[str, str | float]:
    price = {"price": _text(signal.price)} if signal.price else {}
    return {**signal.tags, **price}


def _sizing(signal: TradeSignal, plan: Plan, barriers: Barriers) -> SizingEvidence:
    return {
        "method": signal.sizing,
        "wanted": _text(plan.wanted_quantity),
        "allowed": _text(plan.entry_quantity),
        "stop_distance": _text(abs(barriers.entry - barriers.stop)),
        "text": plan.sizing,
    }


def _text(amount: Decimal) -> str:
    """Return an amount as plain decimal text, never with an exponent."""
    return f"{amount:f}"
