"""The paper venue's books: placing, executing and cancelling, under the account's lock.

Every writer holds the lock of the account's row until its commit: events are committed in the order of their ids,
and nobody acts on a holding that is about to change.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.db.models import Sum

from algotrendy.database import sql
from brokers.contract import DuplicateClientOrderId, OrderRequest
from brokers.models import Connection
from brokers.money import ZERO, to_places, to_step, to_tick
from brokers.venues.paper import admission
from brokers.venues.paper.models import PaperAccount, PaperOrder
from brokers.venues.paper.options import PaperOptions
from brokers.venues.paper.pricing import Match, market_price
from market.models import Instrument, Quote

State = PaperOrder.State
#: One execution with all that it moves, in one statement: order, money, holding, and its event.
EXECUTE = """
    WITH execution AS (
        INSERT INTO paper_paperexecution
            (account_id, order_id, trade_id, quantity, price, fee, executed_at, recorded_at)
        VALUES (%(account)s, %(order)s, %(trade)s, %(quantity)s, %(price)s, %(fee)s, %(at)s, now())
    ), money AS (
        UPDATE paper_paperaccount SET cash = %(cash)s WHERE id = %(account)s
    ), executed AS (
        UPDATE paper_paperorder SET filled_quantity = %(filled)s, state = %(state)s WHERE id = %(order)s
    ), event AS (
        INSERT INTO paper_paperevent (account_id, order_id, kind, recorded_at)
        VALUES (%(account)s, %(order)s, 'executed', now())
    )
    INSERT INTO paper_paperholding AS held (account_id, instrument_id, quantity)
    VALUES (%(account)s, %(instrument)s, %(change)s)
    ON CONFLICT (account_id, instrument_id) DO UPDATE SET quantity = held.quantity + excluded.quantity
    RETURNING quantity
"""

#: The end of what could only reduce, with its events.
CANCEL_REDUCING = """
    WITH ended AS (
        UPDATE paper_paperorder useless SET state = 'canceled', reason = 'the position is flat'
        WHERE account_id = %s AND instrument_id = %s AND reduce_only AND state = 'working' AND NOT EXISTS (
            SELECT FROM paper_paperorder entry WHERE entry.id = useless.parent_id AND entry.state = 'working'
        )
        RETURNING account_id, id
    )
    INSERT INTO paper_paperevent (account_id, order_id, kind, recorded_at)
    SELECT account_id, id, 'canceled', now() FROM ended ORDER BY id
"""


def locked_account(connection: Connection) -> PaperAccount:
    """Return the account of a connection, opened at first use, locked until the transaction ends."""
    where = "WHERE connection_id = %s FOR NO KEY UPDATE"
    account = sql.first(PaperAccount, where, connection.pk)
    if account is None:
        new = PaperAccount(connection=connection, cash=connection.starting_equity)
        PaperAccount.objects.bulk_create([new], ignore_conflicts=True)
        account = sql.rows(PaperAccount, where, connection.pk)[0]
    return account


def place(account: PaperAccount, request: OrderRequest, options: PaperOptions) -> PaperOrder:
    """Take an order in, or write it down as rejected; a market order trades at once as far as volume allows.

    Raises DuplicateClientOrderId for an id this account has ever had, with nothing changed.
    """
    ids = [request.client_order_id, *(leg.client_order_id for leg in request.legs)]
    taken = "SELECT 1 FROM paper_paperorder WHERE account_id = %s AND client_order_id = ANY(%s)"
    if sql.values(taken, account.pk, ids):
        raise DuplicateClientOrderId(f"client order id {request.client_order_id} was used before")
    instrument, quote = _market(request.symbol)
    if instrument is None or quote is None:
        what = "is not traded here" if instrument is None else "has no price"
        return _reject(account, instrument, request, f"{request.symbol} {what}")
    quote.instrument = instrument
    request = _rounded(request, instrument)
    objection = admission.objection(account, request, instrument, quote, options)
    if objection:
        return _reject(account, instrument, request, objection)
    order = _new(account, instrument, request, State.WORKING, matched_until=quote.market_time)
    order.save()
    held = _trade_now(account, order, quote, options) if order.type == "market" else None
    legs = _write_legs(account, order, [_rounded(leg, instrument) for leg in request.legs])
    note([order, *legs], "placed")
    if legs and held == 0:
        _cancel_reducing(order)  # it closed the other side: nothing is left to protect
    return order


def _market(symbol: str) -> tuple[Instrument | None, Quote | None]:
    """Return an instrument and its quote, as far as there are any."""
    where = "WHERE symbol = %s AND market_quote.instrument_id = market_instrument.id"
    priced = sql.joined((Instrument, Quote), where, symbol)
    return priced[0] if priced else (sql.first(Instrument, "WHERE symbol = %s", symbol), None)


def execute(account: PaperAccount, order: PaperOrder, quantity: Decimal, match: Match, fee: Decimal) -> Decimal:
    """Write one execution (`fee` a fraction of its value) and all that follows; return what is held then."""
    value = quantity * match.price
    cost = to_places(value * fee)
    number = order.executions.count() + 1 if order.filled_quantity else 1
    account.cash += (-value if order.side == "buy" else value) - cost
    order.filled_quantity += quantity
    order.state = State.FILLED if order.filled_quantity >= order.quantity else order.state
    values = {
        "account": account.pk,
        "cash": account.cash,
        "order": order.pk,
        "filled": order.filled_quantity,
        "state": str(order.state),
        "trade": f"{order.pk}-{number}",
        "quantity": quantity,
        "price": match.price,
        "fee": cost,
        "at": match.at,
        "instrument": order.instrument_id,
        "change": quantity if order.side == "buy" else -quantity,
    }
    holding: Decimal = sql.named(EXECUTE, values)[0][0]
    if order.parent is not None:
        _settle_bracket(order.parent, order)
    if holding == 0:
        _cancel_reducing(order)
    return holding


def cancel(order: PaperOrder, reason: str) -> None:
    """Cancel what is left of an order; legs of an entry that holds nothing go with it, others shrink to it."""
    if not end(order, reason):
        return
    for leg in order.legs.filter(state__in=[State.HELD, State.WORKING]).order_by("id"):
        if order.filled_quantity == 0:
            end(leg, "its entry was cancelled")
        elif leg.quantity > order.filled_quantity:
            leg.quantity = max(order.filled_quantity, leg.filled_quantity)
            leg.save(update_fields=["quantity"])
    if order.legs.exists():
        _settle_bracket(order, None)


def end(order: PaperOrder, reason: str) -> bool:
    """Cancel this one order; return False when it was over already."""
    if order.state not in (State.HELD, State.WORKING):
        return False
    order.state, order.reason = State.CANCELED, reason
    order.save(update_fields=["state", "reason"])
    note([order], "canceled")
    return True


def closable(order: PaperOrder) -> Decimal:
    """Return how much of an order may trade: a reduce-only one never beyond flat, a leg never beyond its entry."""
    left = order.quantity - order.filled_quantity
    if not order.reduce_only:
        return left
    held = admission.holding(order.account_id, order.instrument_id)
    left = min(left, max(held, ZERO) if order.side == "sell" else max(-held, ZERO))
    return min(left, uncovered(order.parent)) if order.parent is not None else left


def uncovered(entry: PaperOrder) -> Decimal:
    """Return what an entry has filled and its legs have not closed yet."""
    entry.refresh_from_db(fields=["filled_quantity", "state"])
    closed = entry.legs.aggregate(total=Sum("filled_quantity"))["total"] or ZERO
    return entry.filled_quantity - closed


def note(orders: Sequence[PaperOrder], kind: str) -> None:
    """Append an event for each order to the log that the account's owner reads."""
    query = """
        INSERT INTO paper_paperevent (account_id, order_id, kind, recorded_at)
        SELECT %s, id, %s, now() FROM unnest(%s::bigint[]) AS id ORDER BY id
    """
    sql.change(query, orders[0].account_id, kind, [order.pk for order in orders])


def wake_legs(entry: PaperOrder, since: datetime) -> None:
    """Let legs work on candles that open after their entry's fill; one that came first can't have touched them."""
    update = "UPDATE paper_paperorder SET state = %s, matched_until = %s WHERE parent_id = %s AND state = %s"
    sql.change(update, State.WORKING.value, since, entry.pk, State.HELD.value)


def _settle_bracket(entry: PaperOrder, leg: PaperOrder | None) -> None:
    """One cancels the other: when the legs have closed all that the entry filled, the rest of both is over."""
    if uncovered(entry) > 0 or entry.filled_quantity == 0:
        return
    end(entry, "its stop or target was reached")
    for other in entry.legs.filter(state__in=[State.HELD, State.WORKING]).order_by("id"):
        if other.filled_quantity == 0:
            end(other, "the other leg was reached")
        else:
            other.quantity, other.state = other.filled_quantity, State.FILLED
            other.save(update_fields=["quantity", "state"])
            note([other], "executed")
    if leg is not None:
        leg.refresh_from_db(fields=["quantity", "state", "reason"])


def _cancel_reducing(order: PaperOrder) -> None:
    """Cancel what could only reduce, now that there is nothing left; legs of an entry still filling stay."""
    sql.change(CANCEL_REDUCING, order.account_id, order.instrument_id)


def _trade_now(account: PaperAccount, order: PaperOrder, quote: Quote, options: PaperOptions) -> Decimal | None:
    """Trade as much as volume allows; return what is held then, None when nothing was traded."""
    held = None
    quantity = closable(order)
    depth = admission.depth(quote, options)
    if depth is not None:
        quantity = min(quantity, to_step(depth, quote.instrument.step_size))
    if quantity > 0:
        price = market_price(quote.price, order.side, quote.instrument.tick_size, options)
        held = execute(account, order, quantity, Match(price, quote.market_time), options.fee)
    if order.reduce_only and order.state == State.WORKING and closable(order) == 0:
        end(order, "the position is flat")
    return held


def _rounded(request: OrderRequest, instrument: Instrument) -> OrderRequest:
    """Return the request in whole steps and ticks, as the venue books it."""
    tick, limit, stop = instrument.tick_size, request.limit_price, request.stop_price
    return replace(
        request,
        quantity=to_step(request.quantity, instrument.step_size),
        limit_price=to_tick(limit, tick) if limit is not None else None,
        stop_price=to_tick(stop, tick) if stop is not None else None,
    )


def _write_legs(account: PaperAccount, entry: PaperOrder, requests: Sequence[OrderRequest]) -> list[PaperOrder]:
    """Write the legs of an entry: they wait until it has filled something, and are never larger than it."""
    state = State.WORKING if entry.filled_quantity else State.HELD
    legs = [
        _new(
            account,
            entry.instrument,
            replace(request, quantity=min(request.quantity, entry.quantity)),
            state,
            parent=entry,
            matched_until=entry.matched_until,
        )
        for request in requests
    ]
    return PaperOrder.objects.bulk_create(legs)


def _reject(
    account: PaperAccount, instrument: Instrument | None, request: OrderRequest, reason: str
) -> PaperOrder:
    order = _new(account, instrument, request, State.REJECTED, reason=reason)
    order.save()
    note([order], "rejected")
    return order


def _new(
    account: PaperAccount,
    instrument: Instrument | None,
    request: OrderRequest,
    state: str,
    *,
    reason: str = "",
    parent: PaperOrder | None = None,
    matched_until: datetime | None = None,
) -> PaperOrder:
    return PaperOrder(
        account=account,
        instrument=instrument,
        client_order_id=request.client_order_id,
        parent=parent,
        side=request.side,
        type=request.type,
        quantity=request.quantity,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        reduce_only=request.reduce_only,
        state=state,
        reason=reason,
        matched_until=matched_until,
    )
