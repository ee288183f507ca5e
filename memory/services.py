"""Writes of memory: decide a signal and place its orders."""

from algotrendy.events import announce
from brokers import services as brokers
from brokers.models import Desk, Order
from market.models import Quote
from memory import agent, decision_context, evidence_builder, outcomes
from memory.agent import DecisionContext, Plan
from memory.intents import Intent, Policy
from memory.models import Decision, DecisionOrder
from memory.signals import decided
from memory.trade_signal import TradeSignal


def decide(signal: TradeSignal) -> Decision:
    """Decide `signal` with all its evidence, plan its orders and open its outcome, in the caller's transaction.

    Idempotent by `signal.key` through a unique constraint: a second call raises IntegrityError. Orders leave only
    after the commit. Nothing later than the quote's market time is looked at.
    """
    context, quote, desk = decision_context.gather(signal)
    plan = agent.make_plan(signal, context)
    decision = _record(signal, plan, context, quote)
    _place_orders(decision, signal, plan, desk)
    outcomes.open_for(decision, plan.side)
    announce(decided, Decision, decision_id=decision.pk)
    return decision


def _record(signal: TradeSignal, plan: Plan, context: DecisionContext, quote: Quote | None) -> Decision:
    as_of, kind, timeframe = decision_context.clock(quote)
    barriers, confidence = plan.barriers, plan.confidence
    return Decision.objects.create(
        signal_key=signal.key,
        source=signal.source,
        policy=signal.policy,
        instrument=signal.instrument,
        intent=signal.intent,
        action=plan.action,
        refused=plan.refused,
        reason=plan.reason[:200],
        confidence=confidence.mean if confidence else None,
        confidence_low=confidence.low if confidence else None,
        confidence_high=confidence.high if confidence else None,
        break_even=plan.break_even,
        price=context.price,
        quantity=plan.entry_quantity or plan.exit_quantity or None,
        stop=barriers.stop if barriers else None,
        target=barriers.target if barriers else None,
        timeframe=timeframe,
        market=kind,
        as_of=as_of,
        received_at=signal.received_at,
        evidence=evidence_builder.build(signal, plan, context, quote),
    )


def _place_orders(decision: Decision, signal: TradeSignal, plan: Plan, desk: Desk) -> None:
    """Plan exit first, then entry with its bracket; a shadow source orders nothing."""
    if signal.policy == Policy.SHADOW or decision.price is None:
        return
    orders = _plan_exit(decision, signal, plan, desk)
    orders += _plan_entry(decision, signal, plan, desk, after=orders[0] if orders else None)
    DecisionOrder.objects.bulk_create(
        DecisionOrder(decision=decision, order=order, leg=leg) for leg, order in enumerate(orders)
    )
    brokers.send(orders)


def _plan_exit(decision: Decision, signal: TradeSignal, plan: Plan, desk: Desk) -> list[Order]:
    if not plan.exit_quantity or decision.price is None:
        return []
    held_long = plan.side == Intent.LONG if decision.intent == Intent.FLAT else decision.intent == Intent.SHORT
    return [
        brokers.plan_exit(
            desk=desk,
            connection=signal.connection,
            instrument=signal.instrument,
            reference=f"d{decision.pk}",
            side="sell" if held_long else "buy",
            quantity=plan.exit_quantity,
            price=decision.price,
            market=decision.market,
        )
    ]


def _plan_entry(
    decision: Decision, signal: TradeSignal, plan: Plan, desk: Desk, *, after: Order | None
) -> list[Order]:
    if not plan.entry_quantity or plan.barriers is None:
        return []
    return brokers.plan_entry(
        desk=desk,
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
