"""The agent's judgement: from a signal and a context to a plan. Pure: no database, no clock.

A plan may close, enter, do both (reversal: close first) or hold. One that does less than the signal wants is a
refusal, with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from brokers import risk
from brokers.money import ZERO, to_step
from memory.barriers import Barriers, place
from memory.confidence import Confidence, Level, break_even, no_edge_rate, shrunken
from memory.intents import Action, Intent, Policy
from memory.trade_signal import TradeSignal
from mlmodels.inference.values import LatestPrediction

#: A source on policy *filter* needs this many resolved cases of instrument and side before it may act.
CASES_TO_ACT = 30


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What is known when a signal is decided. Money in the account's currency, `position` signed.

    `position` counts orders still on their way. `sigma` is the volatility of one bar, `cost` the round-trip cost
    as a fraction of the price. `prediction` is None without a price.
    """

    price: Decimal | None
    sigma: float | None
    cost: float
    position: Decimal
    average_price: Decimal
    desk_state: str
    desk_reason: str
    limits: risk.Limits
    equity: Decimal
    day_pnl: Decimal
    open_positions: int
    levels: tuple[Level, ...]
    prediction: LatestPrediction | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `exit_quantity` is closed first; `entry_quantity` is opened then. Quantities are positive.

    `side` is the one whose outcome is followed: the side wanted, or the one held when closing.
    """

    action: Action
    reason: str
    refused: bool = False
    side: Intent = Intent.FLAT
    exit_quantity: Decimal = ZERO
    entry_quantity: Decimal = ZERO
    wanted_quantity: Decimal = ZERO
    barriers: Barriers | None = None
    confidence: Confidence | None = None
    base: float | None = None
    break_even: float | None = None
    checks: tuple[risk.Check, ...] = ()
    sizing: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)


def make_plan(signal: TradeSignal, context: DecisionContext) -> Plan:
    """Return what to do about `signal` in `context`."""
    if signal.hold:
        return _hold(signal.hold)
    if context.price is None:
        return _hold("no price for this instrument", refused=True)
    plan = _assess(signal, context, context.price)
    if context.desk_state == "halted":
        return replace(
            _refuse(plan, f"the desk is halted: {context.desk_reason or 'by hand'}"), exit_quantity=ZERO
        )
    if signal.intent == Intent.FLAT:
        return _close(plan, context)
    return _enter(signal, context, plan)


def _assess(signal: TradeSignal, context: DecisionContext, price: Decimal) -> Plan:
    """Return a plan that holds, with everything known about the side in question."""
    plan = _hold("nothing to do")
    side = _side(signal, context)
    if side == Intent.FLAT:
        return plan
    barriers = place("long" if side == Intent.LONG else "short", price, context.sigma, signal.instrument.tick_size)
    base = no_edge_rate(barriers.stop_fraction, barriers.target_fraction)
    return replace(
        plan,
        side=side,
        barriers=barriers,
        base=base,
        confidence=shrunken(base, context.levels),
        break_even=break_even(barriers.stop_fraction, barriers.target_fraction, context.cost),
        notes=() if context.sigma else ("volatility unknown: the stop is 1 % away",),
    )


def _side(signal: TradeSignal, context: DecisionContext) -> Intent:
    """Return the side wanted; for a signal that closes the one held, flat if none is."""
    if signal.intent != Intent.FLAT or not context.position:
        return Intent(signal.intent)
    return Intent.LONG if context.position > 0 else Intent.SHORT


def _close(plan: Plan, context: DecisionContext) -> Plan:
    if not context.position:
        return replace(plan, reason="already flat")
    return replace(plan, action=Action.CLOSE, reason="closes the position", exit_quantity=abs(context.position))


def _enter(signal: TradeSignal, context: DecisionContext, plan: Plan) -> Plan:
    sign = 1 if signal.intent == Intent.LONG else -1
    opposite = context.position * sign < 0
    plan = replace(plan, exit_quantity=abs(context.position) if opposite else ZERO)
    if reason := _entry_refusal(signal, context, plan):
        return _refuse(plan, reason)
    plan = _size(signal, context, plan)
    if not plan.entry_quantity:
        return _refuse(plan, _size_refusal(plan))
    action = Action.BUY if sign > 0 else Action.SELL
    return replace(plan, action=action, reason=_entry_reason(signal, plan))


def _entry_refusal(signal: TradeSignal, context: DecisionContext, plan: Plan) -> str:
    """Return why nothing may be opened, the first reason of several, or an empty string."""
    return (
        _stale_refusal(signal)
        or _short_refusal(signal)
        or _reducing_refusal(context)
        or _filter_refusal(signal, context.levels, plan)
    )


def _stale_refusal(signal: TradeSignal) -> str:
    return signal.stale_reason if signal.stale else ""


def _short_refusal(signal: TradeSignal) -> str:
    return "this source may not go short" if signal.intent == Intent.SHORT and not signal.allow_short else ""


def _reducing_refusal(context: DecisionContext) -> str:
    return f"the desk only reduces: {context.desk_reason}" if context.desk_state == "reducing" else ""


def _filter_refusal(signal: TradeSignal, levels: Sequence[Level], plan: Plan) -> str:
    if signal.policy != Policy.FILTER or plan.confidence is None or plan.break_even is None:
        return ""
    cases = levels[-1].cases if levels else 0
    if cases < CASES_TO_ACT:
        return f"not enough evidence: {cases} of {CASES_TO_ACT} cases"
    if plan.confidence.mean <= plan.break_even:
        return f"confidence {plan.confidence.mean:.0%} is below break-even {plan.break_even:.0%}"
    return ""


def _size(signal: TradeSignal, context: DecisionContext, plan: Plan) -> Plan:
    """Return the plan with the quantity wanted, and what the limits leave of it."""
    price, barriers, instrument = context.price, plan.barriers, signal.instrument
    if price is None or barriers is None:
        return plan
    quantity, sizing = _wanted_quantity(signal, context.equity, barriers)
    held = ZERO if plan.exit_quantity else abs(context.position)
    verdict = risk.check_entry(
        desk_state=context.desk_state,
        limits=context.limits,
        equity=context.equity,
        day_pnl=context.day_pnl,
        open_positions=context.open_positions - (1 if plan.exit_quantity else 0),
        position_value=held * price,
        order_value=quantity * price,
        quantity=quantity,
        min_notional=instrument.min_notional,
        step=instrument.step_size,
    )
    return replace(
        plan,
        wanted_quantity=quantity,
        entry_quantity=verdict.quantity_allowed,
        checks=verdict.checks,
        sizing=sizing,
    )


def _wanted_quantity(signal: TradeSignal, equity: Decimal, barriers: Barriers) -> tuple[Decimal, str]:
    """Return the quantity by the source's sizing, and the sentence that explains it."""
    step = signal.instrument.step_size
    if signal.sizing == "alert" and signal.quantity:
        return to_step(signal.quantity, step), "the quantity in the alert"
    if signal.sizing == "notional" and signal.notional:
        return to_step(signal.notional / barriers.entry, step), f"a value of {signal.notional.normalize():f}"
    at_risk = max(equity * signal.risk_pct / 100, ZERO)
    text = f"{signal.risk_pct.normalize():f} % of equity between entry and stop"
    if signal.sizing == "alert":
        text += ", as the alert named no quantity"
    return to_step(at_risk / abs(barriers.entry - barriers.stop), step), text


def _hold(reason: str, *, refused: bool = False) -> Plan:
    return Plan(action=Action.HOLD, reason=reason, refused=refused)


def _refuse(plan: Plan, reason: str) -> Plan:
    """Return a plan that does not enter; what stands against the signal is still closed."""
    if plan.exit_quantity:
        return replace(
            plan,
            action=Action.CLOSE,
            refused=True,
            reason=f"only closes: {reason}",
            entry_quantity=ZERO,
        )
    return replace(plan, action=Action.HOLD, refused=True, reason=reason, entry_quantity=ZERO)


def _size_refusal(plan: Plan) -> str:
    failed = next((check.text for check in plan.checks if not check.ok), "")
    return failed or "the quantity is too small to trade"


def _entry_reason(signal: TradeSignal, plan: Plan) -> str:
    verb = "closes, then " if plan.exit_quantity else ""
    clipped = ", size cut by a limit" if plan.entry_quantity < plan.wanted_quantity else ""
    if signal.policy == Policy.SHADOW:
        return f"{verb}would follow the alert: shadow, no order"
    if signal.policy == Policy.FILTER:
        return f"{verb}follows: the evidence supports it{clipped}"
    return f"{verb}follows the alert{clipped}"
