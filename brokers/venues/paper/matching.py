"""Matching what waits at the paper venue with the candles that have closed since.

Each order carries the market time until which it has been matched, written in the transaction of its executions:
a kill loses nothing and repeats nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from django.db import transaction

from algotrendy.isolation.rows import each
from brokers.models import Connection
from brokers.money import ZERO, to_step
from brokers.venues.paper import admission, book, pricing
from brokers.venues.paper.models import PaperOrder
from brokers.venues.paper.options import PaperOptions
from brokers.venues.paper.pricing import Bar, Resting
from market.models import Candle, Instrument, Quote
from market.selectors import candles_between

CANDLES_AT_ONCE = 1000
WORKING = PaperOrder.State.WORKING
BY_INSTRUMENT, BY_ACCOUNT = "paper.match_instrument", "paper.match_account"  # as Health names the work


def has_work(instrument_id: int) -> bool:
    """Return whether any order waits for this instrument's candles: one look into a small partial index."""
    return PaperOrder.objects.filter(instrument_id=instrument_id, state=WORKING).exists()


def match_all() -> set[int]:
    """Match every instrument with working orders; return the ids of connections where something traded."""
    rows = PaperOrder.objects.filter(state=WORKING).exclude(instrument=None)
    ids = rows.values_list("instrument_id", flat=True).distinct()
    return set().union(*each(BY_INSTRUMENT, ids, match_instrument, model=Instrument, complete=True))


def match_instrument(instrument_id: int) -> set[int]:
    """Match an instrument's working orders; return the ids of connections where something traded."""
    rows = PaperOrder.objects.filter(instrument_id=instrument_id, state=WORKING)
    ids = rows.values_list("account__connection_id", flat=True).distinct()
    connections = Connection.objects.filter(id__in=ids).order_by("id")
    traded = each(BY_ACCOUNT, connections, lambda account: account.pk * _match_account(account, instrument_id))
    return set(filter(None, traded))


def _match_account(connection: Connection, instrument_id: int) -> bool:
    traded = False
    while True:
        with transaction.atomic(durable=True):
            more, some = _match_batch(connection, instrument_id)
        traded = traded or some
        if not more:
            return traded


def _match_batch(connection: Connection, instrument_id: int) -> tuple[bool, bool]:
    """Match up to CANDLES_AT_ONCE candles; return whether more wait, and whether anything traded."""
    account = book.locked_account(connection)
    quote = Quote.objects.select_related("instrument").filter(instrument_id=instrument_id).first()
    orders = _working(account.pk, instrument_id)
    if quote is None or not orders:
        return False, False
    options = PaperOptions.of(connection.settings)
    candles = _unmatched(quote, orders)
    traded = False
    for candle in candles[:CANDLES_AT_ONCE]:
        if not orders:
            break
        if _match_bar(orders, _bar(candle), quote.instrument, options):
            traded, before = True, {order.pk for order in orders}
            orders = _working(account.pk, instrument_id)
            # An entry that filled at the open has woken its legs: the same candle may reach them.
            woken = [order for order in orders if order.pk not in before]
            if woken and _match_bar(woken, _bar(candle), quote.instrument, options):
                orders = _working(account.pk, instrument_id)
    _mark_matched(orders, candles[:CANDLES_AT_ONCE])
    return len(candles) > CANDLES_AT_ONCE, traded


def _unmatched(quote: Quote, orders: Sequence[PaperOrder]) -> list[Candle]:
    """Return the closed candles that an order has not been matched with: closed by the market's own clock."""
    start = min(order.matched_until for order in orders if order.matched_until)
    end = quote.market_time - timedelta(seconds=quote.timeframe) + timedelta(microseconds=1)
    return candles_between(quote.instrument_id, quote.timeframe, start, end)


def _match_bar(orders: Sequence[PaperOrder], bar: Bar, instrument: Instrument, options: PaperOptions) -> bool:
    """Match every order with one candle, stops before targets; return whether anything traded."""
    left = admission.share(bar.volume, options)
    traded = False
    due = [order for order in orders if order.matched_until and order.matched_until <= bar.open_time]
    for order in sorted(due, key=lambda order: (pricing.urgency(_resting(order)), order.pk)):
        if traded:  # what traded before may have filled, shrunk or ended this one
            order.refresh_from_db()
        if order.state != WORKING:
            continue
        done = _match_order(order, bar, left, instrument, options)
        traded = traded or done > 0
        left = None if left is None else left - done
    return traded


def _match_order(
    order: PaperOrder, bar: Bar, left: Decimal | None, instrument: Instrument, options: PaperOptions
) -> Decimal:
    """Trade what `order` can in `bar` and return how much; `left` is what the candle's volume still allows."""
    match = pricing.match(_resting(order), bar, instrument.tick_size, options)
    if match is None:
        return ZERO
    if order.type == "stop" and not order.triggered:
        order.triggered = True
        order.save(update_fields=["triggered"])
    quantity = book.closable(order)
    if left is not None:
        quantity = min(quantity, to_step(left, instrument.step_size))
    if quantity <= 0:
        return ZERO
    account = book.locked_account(order.account.connection)
    book.execute(account, order, quantity, match, options.fee)
    if order.parent is None:
        book.wake_legs(order, match.at)
    return quantity


def _mark_matched(orders: Sequence[PaperOrder], candles: Sequence[Candle]) -> None:
    if not candles:
        return
    last = candles[-1]
    until = last.open_time + timedelta(seconds=last.timeframe)
    ids = [order.pk for order in orders]
    PaperOrder.objects.filter(pk__in=ids, matched_until__lt=until).update(matched_until=until)


def _working(account_id: int, instrument_id: int) -> list[PaperOrder]:
    rows = PaperOrder.objects.filter(account_id=account_id, instrument_id=instrument_id, state=WORKING)
    return list(rows.select_related("parent", "account__connection").order_by("id"))


def _resting(order: PaperOrder) -> Resting:
    return Resting(order.side, order.type, order.limit_price, order.stop_price, order.triggered)


def _bar(candle: Candle) -> Bar:
    return Bar(
        candle.open_time,
        candle.timeframe,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
    )
