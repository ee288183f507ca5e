"""Outcomes: opened with each decision, resolved on candles, counted once into the record."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.isolation.rows import each, together
from brokers.models import Fill, Trade
from market import selectors as market
from market.bars import bar_after
from market.models import Candle, Instrument, Quote
from memory import barriers
from memory.intents import Action, Intent, Policy
from memory.models import Decision, DecisionOrder, Outcome, Tally
from memory.signals import outcomes_resolved

#: Bars after the horizon that late candles are waited for.
GRACE_BARS = 12
BATCH = 2000
#: Closed trades that a sweep looks at, in search of one whose link was lost.
RECENT_TRADES = 200
# The work on outcomes, as the page Health names it where it fails.
RESOLVE, SETTLE, STORE, LINK = (
    "memory.resolve",
    "memory.settle_outcome",
    "memory.store_outcome",
    "memory.link_trade",
)


def open_for(decision: Decision, side: Intent) -> Outcome:
    """Open the outcome of a decision that has just been made; void at once if there is nothing to follow."""
    start = bar_after(decision.as_of, decision.timeframe)
    ordered = decision.action in (Action.BUY, Action.SELL) and decision.policy != Policy.SHADOW
    void = _why_void(decision, side)
    return Outcome.objects.create(
        decision=decision,
        instrument=decision.instrument,
        kind=Outcome.Kind.REAL if ordered else Outcome.Kind.COUNTERFACTUAL,
        state=Outcome.State.VOID if void else Outcome.State.OPEN,
        void_reason=void,
        side=side,
        entry=decision.price,
        stop=decision.stop,
        target=decision.target,
        timeframe=decision.timeframe,
        starts_at=start,
        ends_at=start + timedelta(seconds=decision.timeframe * decision.horizon_bars),
    )


def _why_void(decision: Decision, side: Intent) -> str:
    if decision.price is None:
        return "there was no price"
    return "no side was asked for or held" if side == Intent.FLAT else ""


def resolve(instrument_id: int) -> int:
    """Resolve what can be resolved of an instrument's open outcomes now; return how many.

    Each is claimed by a row lock, so that two workers never count one twice.
    """
    quote = market.quote(instrument_id)
    if quote is None:
        return 0
    with transaction.atomic():
        due = _due(quote)
        bars = _bars(due, quote)
        settled = each(SETTLE, due, lambda outcome: outcome if _settle(outcome, quote, bars) else None)
        done = together(STORE, [outcome for outcome in settled if outcome], _store)
        _count([outcome for outcome in done if outcome.state == Outcome.State.RESOLVED])
        ids = [outcome.decision_id for outcome in done]
        if ids:
            announce(outcomes_resolved, Outcome, instrument_id=instrument_id, decision_ids=ids)
    return len(done)


def _store(done: Sequence[Outcome]) -> list[Outcome]:
    Outcome.objects.bulk_update(done, RESULT_FIELDS)
    return list(done)


RESULT_FIELDS = ["state", "result", "exit_price", "exit_at", "return_pct", "r_multiple", "void_reason", "known_at"]


def _due(quote: Quote) -> list[Outcome]:
    return list(
        Outcome.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("decision")
        .filter(instrument_id=quote.instrument_id, state=Outcome.State.OPEN)
        .order_by("starts_at")[:BATCH]
    )


class _Bars:
    """Closed candles as arrays, known at the quote's market time."""

    def __init__(self, candles: Sequence[Candle]) -> None:
        self.time = np.array([candle.open_time.timestamp() for candle in candles])
        self.high = np.array([float(candle.high) for candle in candles])
        self.low = np.array([float(candle.low) for candle in candles])
        self.close = [candle.close for candle in candles]


def _bars(due: Sequence[Outcome], quote: Quote) -> _Bars:
    known_until = quote.market_time - timedelta(seconds=quote.timeframe - 1)
    matching = [outcome for outcome in due if outcome.timeframe == quote.timeframe]
    if not matching:
        return _Bars([])
    start = min(outcome.starts_at for outcome in matching)
    end = min(max(outcome.ends_at for outcome in matching), known_until)
    return _Bars(market.candles_between(quote.instrument_id, quote.timeframe, start, end))


def _settle(outcome: Outcome, quote: Quote, bars: _Bars) -> bool:
    """Write the result into `outcome` (unsaved) if it is decided; return whether it is."""
    if reason := _orphaned(outcome, quote):
        return _void(outcome, reason)
    first, last = np.searchsorted(bars.time, [outcome.starts_at.timestamp(), outcome.ends_at.timestamp()])
    whole = _contiguous(bars.time[first:last], outcome)
    touch = barriers.first_touch(
        "long" if outcome.side == Intent.LONG else "short",
        bars.high[first : first + whole],
        bars.low[first : first + whole],
        float(outcome.stop or 0),
        float(outcome.target or 0),
    )
    if touch:
        price = outcome.target if touch.result == "win" else outcome.stop
        return _close(outcome, touch.result, price, bars.time[first + touch.index])
    if whole == outcome.decision.horizon_bars:
        return _close(outcome, "timeout", bars.close[last - 1], bars.time[last - 1])
    grace = timedelta(seconds=GRACE_BARS * outcome.timeframe)
    return quote.market_time > outcome.ends_at + grace and _void(outcome, "candles are missing within the horizon")


def _contiguous(times: barriers.Array, outcome: Outcome) -> int:
    """Return how many bars follow one another without a gap from the start of the outcome."""
    expected = outcome.starts_at.timestamp() + outcome.timeframe * np.arange(len(times))
    wrong = np.flatnonzero(times != expected)
    return int(wrong[0]) if len(wrong) else len(times)


def _orphaned(outcome: Outcome, quote: Quote) -> str:
    if outcome.timeframe != quote.timeframe or outcome.decision.market != quote.kind:
        return "the instrument moved to another market"
    if outcome.starts_at > quote.market_time + timedelta(days=1):
        return "the market's clock was set back"
    return ""


def _void(outcome: Outcome, reason: str) -> bool:
    outcome.state, outcome.void_reason, outcome.known_at = Outcome.State.VOID, reason, timezone.now()
    return True


def _close(outcome: Outcome, result: str, price: Decimal | None, open_time: float) -> bool:
    entry, stop = outcome.entry, outcome.stop
    if price is None or entry is None or stop is None:
        return _void(outcome, "the decision has no barriers")
    sign = 1 if outcome.side == Intent.LONG else -1
    outcome.state, outcome.result, outcome.exit_price = Outcome.State.RESOLVED, result, price
    outcome.exit_at = datetime.fromtimestamp(open_time + outcome.timeframe, tz=outcome.starts_at.tzinfo)
    outcome.return_pct = float(sign * (price - entry) / entry * 100)
    outcome.r_multiple = float(sign * (price - entry) / abs(entry - stop)) if entry != stop else None
    outcome.known_at = timezone.now()
    return True


def _count(resolved: Iterable[Outcome]) -> None:
    """Add resolved outcomes to the record. Closing signals ask for no side and are not cases."""
    cases: Counter[tuple[str, int, str]] = Counter()
    wins: Counter[tuple[str, int, str]] = Counter()
    for outcome in resolved:
        if outcome.decision.intent == Intent.FLAT:
            continue
        key = (outcome.decision.source, outcome.instrument_id, outcome.side)
        cases[key] += 1
        wins[key] += outcome.result == Outcome.Result.WIN
    for key in sorted(cases):
        source, instrument_id, side = key
        tally, _ = Tally.objects.get_or_create(source=source, instrument_id=instrument_id, side=side)
        Tally.objects.filter(pk=tally.pk).update(wins=F("wins") + wins[key], cases=F("cases") + cases[key])


def resolve_all() -> int:
    """Resolve every instrument with open outcomes: the sweep behind the nudges. Also links closed trades."""
    instruments = Outcome.objects.filter(state=Outcome.State.OPEN).values_list("instrument_id", flat=True)
    resolved = each(RESOLVE, instruments.distinct(), resolve, model=Instrument, complete=True)
    each(LINK, _unlinked_trades(), link_trade, model=Trade, complete=True)
    return sum(resolved)


def link_trade(trade_id: int) -> int:
    """Point the outcomes of the decisions that opened a trade to it; return how many were linked."""
    decisions = DecisionOrder.objects.filter(order__fills__trade_id=trade_id, order__role="entry").values(
        "decision"
    )
    return Outcome.objects.filter(decision__in=decisions, trade=None).update(trade_id=trade_id)


class _Looked:
    """How far this process has looked for unlinked trades: a new one begins with the newest of them."""

    def __init__(self) -> None:
        self.reached: int | None = None
        self.again: set[int] = set()


_looked = _Looked()


def _unlinked_trades() -> list[int]:
    """Return closed trades whose entries have an outcome without a trade, among those not looked at before.

    Those that were open, or unlinked, at the last look are looked at again.
    """
    closed = Trade.objects.filter(state=Trade.State.CLOSED)
    if _looked.reached is None:
        _looked.reached = min(closed.order_by("-id").values_list("id", flat=True)[:RECENT_TRADES], default=1) - 1
    open_now = set(Trade.objects.filter(state=Trade.State.OPEN).values_list("id", flat=True))
    new = list(closed.filter(id__gt=_looked.reached).order_by("id").values_list("id", flat=True)[:RECENT_TRADES])
    due = [*new, *sorted(_looked.again - open_now)]
    unlinked = _without_trade(due) if due else []
    _looked.reached = new[-1] if new else _looked.reached
    _looked.again = open_now | set(unlinked)
    return unlinked


def _without_trade(trade_ids: Sequence[int]) -> list[int]:
    unlinked = Outcome.objects.filter(trade=None).values("decision")
    entries = Fill.objects.filter(
        trade=OuterRef("pk"), order__role="entry", order__decision_link__decision__in=unlinked
    )
    rows = Trade.objects.filter(pk__in=trade_ids, state=Trade.State.CLOSED).filter(Exists(entries))
    return list(rows.order_by("id").values_list("pk", flat=True))
