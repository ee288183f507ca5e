"""Reads of the API: lists by key set, newest first, each with a constant number of queries."""

from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from ninja import Router

from api import schemas
from api.paging import Before, Limit, page, require, upper
from brokers import selectors as brokers
from brokers.models import Connection, Fill, Order, Trade
from memory import selectors as memory
from memory.models import Decision
from webhooks.models import Alert

router = Router(tags=["records"])


def _orders() -> QuerySet[Order]:
    fills = Prefetch("fills", Fill.objects.select_related("instrument"))
    return Order.objects.select_related("instrument", "connection").prefetch_related(fills)


def _decisions() -> QuerySet[Decision]:
    return Decision.objects.select_related(*memory.BESIDE, "alert")


def _with_orders(rows: QuerySet[Decision]) -> QuerySet[Decision]:
    return rows.prefetch_related("order_links", Prefetch("order_links__order", _orders()))


@router.get("/alerts", response=list[schemas.AlertOut])
def alerts(
    request: HttpRequest,
    before: Before = None,
    limit: Limit = 50,
    state: str | None = None,
    source: str | None = None,
) -> list[Alert]:
    """Return alerts, optionally of one state or source."""
    rows = Alert.objects.select_related("source", "instrument").defer("body")
    return page(rows, before, limit, state=state, source__slug=source)


@router.get("/alerts/{int:alert_id}", response={200: schemas.AlertDetail, 404: schemas.Problem})
def alert(request: HttpRequest, alert_id: int) -> Alert:
    """Return one alert with its state, its decision, and that decision's orders and fills."""
    decision = Prefetch("decision", _with_orders(_decisions()))
    rows = Alert.objects.select_related("source", "instrument").prefetch_related(decision)
    return require(rows.filter(pk=alert_id).first(), "alert")


@router.get("/decisions", response=list[schemas.DecisionOut])
def decisions(
    request: HttpRequest,
    before: Before = None,
    limit: Limit = 50,
    symbol: str | None = None,
    source: str | None = None,
    action: str | None = None,
) -> list[Decision]:
    """Return decisions, optionally of one symbol, source or action."""
    chosen = {"instrument__symbol": upper(symbol), "source": source, "action": action and action.upper()}
    return page(_decisions(), before, limit, **chosen)


@router.get("/decisions/{int:decision_id}", response={200: schemas.DecisionDetail, 404: schemas.Problem})
def decision(request: HttpRequest, decision_id: int) -> Decision:
    """Return one decision with its evidence, orders, fills and outcome."""
    return require(_with_orders(_decisions()).filter(pk=decision_id).first(), "decision")


@router.get("/orders", response=list[schemas.OrderOut])
def orders(
    request: HttpRequest,
    before: Before = None,
    limit: Limit = 50,
    state: str | None = None,
    symbol: str | None = None,
) -> list[Order]:
    """Return orders with their fills, optionally of one state or symbol."""
    return page(_orders(), before, limit, state=state, instrument__symbol=upper(symbol))


@router.get("/orders/{int:order_id}", response={200: schemas.OrderOut, 404: schemas.Problem})
def order(request: HttpRequest, order_id: int) -> Order:
    """Return one order with its fills."""
    return require(_orders().filter(pk=order_id).first(), "order")


@router.get("/fills", response=list[schemas.FillOut])
def fills(request: HttpRequest, before: Before = None, limit: Limit = 50, symbol: str | None = None) -> list[Fill]:
    """Return fills, optionally of one symbol."""
    rows = Fill.objects.select_related("instrument")
    return page(rows, before, limit, instrument__symbol=upper(symbol))


@router.get("/trades", response=list[schemas.TradeOut])
def trades(
    request: HttpRequest,
    before: Before = None,
    limit: Limit = 50,
    state: str | None = None,
    symbol: str | None = None,
) -> list[Trade]:
    """Return round trips, optionally of one state or symbol."""
    rows = Trade.objects.select_related("instrument", "connection")
    return page(rows, before, limit, state=state, instrument__symbol=upper(symbol))


@router.get("/positions", response=list[schemas.PositionOut])
def positions(request: HttpRequest) -> list[dict[str, object]]:
    """Return all open positions at the last price."""
    return [
        {
            "connection": held.connection.name,
            "symbol": held.instrument.symbol,
            "quantity": held.quantity,
            "average_price": held.average_price,
            "price": brokers.price_of(held),
            "unrealised_pnl": brokers.unrealised(held),
            "realised_pnl": held.realised_pnl,
            "fees": held.fees,
            "trade_id": held.trade_id,
            "updated_at": held.updated_at,
        }
        for held in brokers.open_positions()
    ]


@router.get("/equity", response=list[schemas.EquityOut])
def equity(request: HttpRequest) -> list[dict[str, object]]:
    """Return what each enabled connection is worth now."""
    return [
        {
            "connection": connection.name,
            "mode": connection.mode,
            "currency": connection.currency,
            "equity": now.equity,
            "cash": now.cash,
            "unrealised_pnl": now.unrealised_pnl,
            "day_pnl": now.day_pnl,
        }
        for connection in Connection.objects.filter(enabled=True).order_by("name")
        for now in [brokers.equity(connection)]
    ]
