"""One decision as a story: what came in, what was known, what was done, how it went, what was learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from brokers.models import Fill, Order
from dashboard.charts import svg
from dashboard.formatting import quantity
from dashboard.selectors.order_timeline import Event, order_timeline
from market import selectors as market
from market.bars import bar_start
from market.models import Candle
from market.retention import removed_at
from memory.intents import Intent
from memory.models import Decision, Outcome, Tally
from memory.selectors import BARS_AFTER, BARS_BEFORE, known_outcome
from webhooks.models import Alert


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """An order and what happened to it so far, oldest event first."""

    order: Order
    events: tuple[Event, ...]


def alert_of(decision: Decision) -> Alert | None:
    """Return the alert that the decision answers, with its source, or None (it came from elsewhere)."""
    return Alert.objects.select_related("source", "replay_of").filter(decision=decision).first()


def orders_of(decision: Decision) -> list[OrderHistory]:
    """Return the decision's orders in the order of sending; expects them prefetched."""
    links = sorted(decision.order_links.all(), key=lambda link: link.leg)
    return [_history(decision, link.order) for link in links]


def _history(decision: Decision, order: Order) -> OrderHistory:
    order.instrument = decision.instrument  # the same: no query for each order
    fills = sorted(order.fills.all(), key=lambda fill: fill.pk)
    return OrderHistory(order, tuple(order_timeline(order, fills)))


@dataclass(frozen=True, slots=True)
class OutcomeRun:
    """How an outcome ran so far: `bars` counts to the last candle, those that are missing before it too."""

    outcome: Outcome
    run: svg.Run | None
    bars: int
    removed: bool
    learned: str
    record: Tally | None


def outcome_run(decision: Decision) -> OutcomeRun | None:
    """Return how the decision's outcome ran, or None if none was opened."""
    outcome = known_outcome(decision)
    if outcome is None:
        return None
    candles = _candles_of(decision, outcome)
    return OutcomeRun(
        outcome=outcome,
        run=_drawn(outcome, candles, decision.horizon_bars),
        bars=_number(outcome, candles[-1]) + 1 if candles else 0,
        removed=_is_incomplete(outcome, candles) and candles_removed(decision),
        learned=learned(decision, outcome),
        record=_record(decision, outcome),
    )


def _candles_of(decision: Decision, outcome: Outcome) -> list[Candle]:
    if outcome.state == Outcome.State.VOID:
        return []
    end = outcome.exit_at or outcome.ends_at
    return market.past_candles(decision.instrument, outcome.timeframe, outcome.starts_at, end)


def behind(decision: Decision) -> datetime | None:
    """Return the market's own now where that lies before the decision (its replay was set back), else None."""
    now = market.market_now(decision.instrument)
    return now if now < decision.as_of else None


def _drawn(outcome: Outcome, candles: Sequence[Candle], horizon: int) -> svg.Run | None:
    if outcome.entry is None or outcome.stop is None or outcome.target is None or not candles:
        return None
    return svg.run(
        [
            (_number(outcome, candle), float(candle.high), float(candle.low), float(candle.close))
            for candle in candles
        ],
        entry=float(outcome.entry),
        stop=float(outcome.stop),
        target=float(outcome.target),
        horizon=horizon,
    )


def _is_incomplete(outcome: Outcome, candles: Sequence[Candle]) -> bool:
    return not candles or _number(outcome, candles[-1]) + 1 > len(candles)


def _number(outcome: Outcome, candle: Candle) -> int:
    """Return which bar of the outcome a candle is, from 0."""
    return (candle.open_time - outcome.starts_at) // timedelta(seconds=outcome.timeframe)


def learned(decision: Decision, outcome: Outcome) -> str:
    """Return in words what memory took from the outcome.

    The record counts signals, followed or refused: only so can it say what following them is worth.
    """
    if outcome.state == Outcome.State.VOID:
        return f"Nothing: {outcome.void_reason}."
    if outcome.state == Outcome.State.OPEN:
        return "Nothing yet. Memory learns from it once the price has reached the target, the stop or the horizon."
    if decision.intent == Intent.FLAT:
        return "Nothing: an alert that closes asks for no side, so it is not a case."
    won = outcome.result == Outcome.Result.WIN
    of_whom = "the record of the desk, of its source, and of its instrument and side"
    if decision.enters:
        return f"It counts as {'a win' if won else 'no win'} in {of_whom}."
    reached = "would have reached its target" if won else "would not have reached its target"
    return f"Nothing was won or lost by it. The alert's signal counts in {of_whom}: it {reached}."


def _record(decision: Decision, outcome: Outcome) -> Tally | None:
    """Return the record of source, instrument and side as it is now."""
    if outcome.state != Outcome.State.RESOLVED or decision.intent == Intent.FLAT:
        return None
    return Tally.objects.filter(
        source=decision.source, instrument_id=decision.instrument_id, side=outcome.side
    ).first()


def chart(decision: Decision) -> dict[str, object]:
    """Return the chart's data: candles known then, candles after, levels and fills. Times in seconds, UTC."""
    step = decision.timeframe
    until = min(decision.as_of, market.market_now(decision.instrument))
    known = market.closed_candles(decision.instrument_id, step, until=until, count=BARS_BEFORE)
    if candles_removed(decision):
        known = known.part(known.open_time >= decision.as_of.timestamp() - 2 * BARS_BEFORE * step)
    decided_in = int(bar_start(decision.as_of, step).timestamp())
    last_known = int(known.open_time[-1]) if len(known) else 0
    first = decision.as_of - timedelta(seconds=step - 1)
    end = _chart_end(decision)
    later = market.past_candles(decision.instrument, step, first, end)
    return {
        # Where candles are missing before the decision, it still stands at its own time.
        "decided_in": max(decided_in, last_known + step),
        "symbol": decision.instrument.symbol,
        "timeframe": step,
        "tick": float(decision.instrument.tick_size),
        "known": [
            _point(row)
            for row in zip(known.open_time, known.open, known.high, known.low, known.close, strict=True)
        ],
        "after": [_candle(candle) for candle in later if candle.open_time.timestamp() > last_known],
        "levels": _levels(decision),
        "fills": _fills(decision),
        "open": behind(decision) is not None or _runs(decision),
    }


def candles_removed(decision: Decision) -> bool:
    """Return whether the candles around the decision were removed, as old ones of simulated markets are."""
    at = bar_start(decision.as_of, decision.timeframe) - timedelta(seconds=decision.timeframe)
    return removed_at(decision.instrument_id, decision.timeframe, at)


def _runs(decision: Decision) -> bool:
    outcome = known_outcome(decision)
    return outcome is not None and outcome.state == Outcome.State.OPEN


def _chart_end(decision: Decision) -> datetime:
    """Return where the chart stops: a few bars after the end of the outcome."""
    outcome = known_outcome(decision)
    horizon = timedelta(seconds=decision.timeframe * decision.horizon_bars)
    end = (outcome.exit_at or outcome.ends_at) if outcome else decision.as_of + horizon
    return end + timedelta(seconds=decision.timeframe * BARS_AFTER)


def _point(row: tuple[float, ...]) -> list[float]:
    return [int(row[0]), *(float(value) for value in row[1:])]


def _candle(candle: Candle) -> list[float]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [int(candle.open_time.timestamp()), *(float(price) for price in prices)]


def _levels(decision: Decision) -> dict[str, float | None]:
    named = {"entry": decision.price, "stop": decision.stop, "target": decision.target}
    return {name: None if price is None else float(price) for name, price in named.items()}


def _fills(decision: Decision) -> list[dict[str, object]]:
    now = market.market_now(decision.instrument)
    rows = Fill.objects.filter(order__decision_link__decision=decision, executed_at__lte=now)
    return [
        {
            "time": int(fill.executed_at.timestamp()),
            "side": fill.side,
            "price": float(fill.price),
            "text": quantity(fill.quantity, decision.instrument),
        }
        for fill in rows.order_by("executed_at", "id")
    ]
