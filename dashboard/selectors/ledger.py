"""Positions, orders and trades for their tables and pages."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet

from brokers import selectors as brokers
from brokers.models import Fill, Order, Position, Trade
from brokers.orders.states import IN_FLIGHT, OPEN
from dashboard.paging import Page
from market.models import Instrument
from memory.models import DecisionOrder

RECENT_TRADES = 200
MAX_OPEN_ORDERS = 200


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """An open position with what it is worth now and the orders that protect it."""

    position: Position
    price: Decimal
    unrealised: Decimal
    value: Decimal
    percent: Decimal
    stop: Order | None
    target: Order | None
    price_at: datetime | None

    @property
    def side(self) -> str:
        """long or short."""
        return "long" if self.position.quantity > 0 else "short"


def held_positions() -> list[HeldPosition]:
    """Return the open positions by symbol. Two queries."""
    held = list(brokers.open_positions())
    exits = Order.objects.filter(
        instrument__in=[row.instrument_id for row in held],
        role__in=[Order.Role.STOP, Order.Role.TARGET],
        state__in=[*Order.AT_VENUE],
    )
    legs = {(order.connection_id, order.instrument_id, order.role): order for order in exits.order_by("id")}
    return [_held(row, legs) for row in held]


def _held(row: Position, legs: dict[tuple[int, int, str], Order]) -> HeldPosition:
    price = brokers.price_of(row)
    gain = brokers.unrealised(row)
    cost = abs(row.quantity) * row.average_price
    quote = getattr(row.instrument, "quote_now", None)
    key = (row.connection_id, row.instrument_id)
    return HeldPosition(
        position=row,
        price=price,
        unrealised=gain,
        value=abs(row.quantity) * price,
        percent=gain / cost * 100 if cost else Decimal(0),
        stop=legs.get((*key, Order.Role.STOP)),
        target=legs.get((*key, Order.Role.TARGET)),
        price_at=quote.received_at if quote else None,
    )


def orders() -> QuerySet[Order]:
    """Return orders with what a table shows of them."""
    return Order.objects.select_related("connection", "instrument", "decision_link")


def orders_in_doubt() -> list[Order]:
    """Return orders whose fate is not known, oldest first; at most 50."""
    return list(orders().filter(state__in=Order.IN_DOUBT).order_by("id")[:50])


def open_orders() -> list[Order]:
    """Return orders to which something can still happen, newest first; at most 200."""
    rows = orders().filter(state__in=OPEN - Order.IN_DOUBT).order_by("-id")
    return list(rows[:MAX_OPEN_ORDERS])


def order_detail(pk: int) -> Order | None:
    """Return one order with all that its page shows, or None."""
    return (
        Order.objects.select_related("connection", "instrument", "parent", "after", "decision_link__decision")
        .prefetch_related("fills__trade", "legs", "followers")
        .filter(pk=pk)
        .first()
    )


def can_cancel(order: Order) -> bool:
    """Return whether cancelling is offered: not of what is over or asked for, nor of a leg that has not left."""
    if order.state == Order.State.PENDING:
        return not order.parent_id
    return order.state in IN_FLIGHT and not order.cancel_waits


def trades(*, symbol: str = "", side: str = "", result: str = "") -> QuerySet[Trade]:
    """Return trades with instrument and connection; or only some; `result` is won, lost or open."""
    rows = Trade.objects.select_related("instrument", "connection")
    if symbol:
        rows = rows.filter(instrument__symbol=symbol)
    if side in Trade.Side.values:
        rows = rows.filter(side=side)
    conditions = {
        "won": Q(state=Trade.State.CLOSED, pnl__gt=0),
        "lost": Q(state=Trade.State.CLOSED, pnl__lte=0),
        "open": Q(state=Trade.State.OPEN),
    }
    return rows.filter(conditions[result]) if result in conditions else rows


def decisions_of_trades(page: Page[Trade]) -> dict[int, int]:
    """Return the decision that opened each trade of a page. One query."""
    rows = Fill.objects.filter(
        trade__in=page.rows, order__role=Order.Role.ENTRY, order__decision_link__isnull=False
    )
    return dict(rows.order_by("-id").values_list("trade_id", "order__decision_link__decision_id"))


@dataclass(frozen=True, slots=True)
class Record:
    """How the last closed trades went. Amounts are net of fees; `count` belongs beside every rate."""

    count: int
    won: int
    pnl: Decimal
    fees: Decimal
    average_win: Decimal | None
    average_loss: Decimal | None

    @property
    def win_rate(self) -> float | None:
        """Share of trades that made money; None without trades."""
        return self.won / self.count if self.count else None


def record() -> Record:
    """Return the record of the last 200 closed trades. One query."""
    rows = list(
        Trade.objects.filter(state=Trade.State.CLOSED).order_by("-id").values_list("pnl", "fees")[:RECENT_TRADES]
    )
    wins = [pnl for pnl, _ in rows if pnl > 0]
    losses = [pnl for pnl, _ in rows if pnl <= 0]
    return Record(
        count=len(rows),
        won=len(wins),
        pnl=sum((pnl for pnl, _ in rows), Decimal(0)),
        fees=sum((fees for _, fees in rows), Decimal(0)),
        average_win=sum(wins, Decimal(0)) / len(wins) if wins else None,
        average_loss=sum(losses, Decimal(0)) / len(losses) if losses else None,
    )


def trade_detail(pk: int) -> Trade | None:
    """Return one trade with its fills and their orders, or None."""
    fills = Trade.objects.select_related("instrument", "connection").prefetch_related("fills__order")
    return fills.filter(pk=pk).first()


def decision_ids_of_orders(order_ids: list[int]) -> list[int]:
    """Return the decisions behind some orders, oldest first."""
    rows = DecisionOrder.objects.filter(order_id__in=order_ids).order_by("decision_id")
    return list(dict.fromkeys(rows.values_list("decision_id", flat=True)))


def symbols() -> list[str]:
    """Return all symbols for a filter; at most 200."""
    return list(Instrument.objects.order_by("symbol").values_list("symbol", flat=True)[:200])
