"""Writes of memory: decide a signal, and take in what became of it."""

from typing import Any

from algotrendy.events import announce
from brokers import services as brokers
from brokers.models import Order
from market.models import Quote
from memory import agent, decision_context, outcomes, prediction_evidence
from memory.agent import DecisionContext, Plan
from memory.evidence import Evidence
from memory.intents import Intent, Policy
from memory.models import Decision, DecisionOrder
from memory.signals import decided
from memory.trade_signal import TradeSignal


def decide(signal: TradeSignal) -> Decision:
    """Decide `signal` with all its evidence, plan its orders and open its outcome, in the caller's transaction.

    Idempotent by `signal.key` through a unique constraint: a second call raises IntegrityError. Orders leave only
    after the commit. Nothing later than the quote's market time is looked at.
    """
    found, quote = decision_context.gather(signal)
    plan = agent.make_plan(signal, found)
    decision = _record(signal, plan, found, quote)
    _place_orders(decision, signal, plan)
    outcomes.open_for(decision, plan.side)
    announce(decided, Decision, decision_id=decision.pk)
    return decision


def _record(signal: TradeSignal, plan: Plan, found: DecisionContext, quote: Quote | None) -> Decision:
    as_of, kind, timeframe = decision_context.clock(quote)
    placed, belief = plan.barriers, plan.confidence
    return Decision.objects.create(
        signal_key=signal.key,
        source=signal.source,
        policy=signal.policy,
        instrument=signal.instrument,
        intent=signal.intent,
        action=plan.action,
        refused=plan.refused,
        reason=plan.reason[:200],
        confidence=belief.mean if belief else None,
        confidence_low=belief.low if belief else None,
        confidence_high=belief.high if belief else None,
        break_even=plan.break_even,
        price=found.price,
        quantity=plan.entry_quantity or plan.exit_quantity or None,
        stop=placed.stop if placed else None,
        target=placed.target if placed else None,
        timeframe=timeframe,
        market=kind,
        as_of=as_of,
        received_at=signal.received_at,
        evidence=_evidence(signal, plan, found, quote),
    )


def _evidence(signal: TradeSignal, plan: Plan, found: DecisionContext, quote: Quote | None) -> Evidence:
    base = plan.base if plan.base is not None else 0.5
    belief = plan.confidence
    evidence: Evidence = {
        "base": {"mean": base, "text": "a market without edge: stop / (stop + target)"},
        "levels": [
            {"name": level.name, "wins": level.wins, "cases": level.cases, "mean": mean}
            for level, mean in zip(found.levels, belief.steps if belief else (), strict=False)
        ],
        "confidence": belief.mean if belief else base,
        "low": belief.low if belief else 0.0,
        "high": belief.high if belief else 1.0,
        "break_even": plan.break_even,
        "volatility": found.sigma,
        "quote": None,
        "position": {"quantity": _text(found.position), "average_price": _text(found.average_price)},
        "desk": {
            "state": found.desk_state,
            "equity": _text(found.equity),
            "day_pnl": _text(found.day_pnl),
            "open_positions": found.open_positions,
        },
        "checks": [_check(check) for check in plan.checks],
        "notes": list(plan.notes),
        "signal": dict(signal.tags) | ({"price": _text(signal.price)} if signal.price else {}),
    }
    if quote:
        evidence["quote"] = {
            "price": _text(quote.price),
            "market_time": quote.market_time.isoformat(),
            "kind": quote.kind,
        }
    if found.prediction:
        evidence["prediction"] = prediction_evidence.evidence(found.prediction, plan.side)
    if plan.sizing and plan.barriers:
        evidence["sizing"] = {
            "method": signal.sizing,
            "wanted": _text(plan.wanted_quantity),
            "allowed": _text(plan.entry_quantity),
            "stop_distance": _text(abs(plan.barriers.entry - plan.barriers.stop)),
            "text": plan.sizing,
        }
    return evidence


def _check(check: Any) -> Any:
    return {
        "name": check.name,
        "ok": check.ok,
        "value": _text(check.value),
        "limit": _text(check.limit),
        "text": check.text,
    }


def _text(value: Any) -> str:
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _place_orders(decision: Decision, signal: TradeSignal, plan: Plan) -> None:
    """Plan exit first, then entry with its bracket; a shadow source orders nothing."""
    if signal.policy == Policy.SHADOW or decision.price is None:
        return
    orders = _plan_exit(decision, signal, plan)
    orders += _plan_entry(decision, signal, plan, orders[0] if orders else None)
    DecisionOrder.objects.bulk_create(
        DecisionOrder(decision=decision, order=order, leg=leg) for leg, order in enumerate(orders)
    )
    brokers.send(orders)


def _plan_exit(decision: Decision, signal: TradeSignal, plan: Plan) -> list[Order]:
    if not plan.exit_quantity or decision.price is None:
        return []
    held_long = plan.side == Intent.LONG if decision.intent == Intent.FLAT else decision.intent == Intent.SHORT
    return [
        brokers.plan_exit(
            connection=signal.connection,
            instrument=signal.instrument,
            reference=f"d{decision.pk}",
            side="sell" if held_long else "buy",
            quantity=plan.exit_quantity,
            price=decision.price,
            market=decision.market,
        )
    ]


def _plan_entry(decision: Decision, signal: TradeSignal, plan: Plan, after: Order | None) -> list[Order]:
    if not plan.entry_quantity or plan.barriers is None:
        return []
    return brokers.plan_entry(
        connection=signal.connection,
        instrument=signal.instrument,
        reference=f"d{decision.pk}",
        side="buy" if decision.intent == Intent.LONG else "sell",
        quantity=plan.entry_quantity,
        stop=plan.barriers.stop,
        target=plan.barriers.target,
        price=plan.barriers.entry,
        market=decision.market,
        good_until=signal.good_until,
        after=after,
    )
