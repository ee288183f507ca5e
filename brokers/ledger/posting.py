"""From an execution to a fill, and from fills to position and trade. Always under the position's lock."""

from datetime import datetime

from django.utils import timezone

from algotrendy.database import sql
from algotrendy.events import announce, nudge_after_commit
from brokers import signals, task_names
from brokers.contract import Execution
from brokers.ledger import pnl
from brokers.ledger.pnl import Deal, Holding
from brokers.models import Fill, Order, Position, Trade

SECOND_PART = "~2"  # of an execution that crossed zero: it closes one trade and opens the next


def lock_position(connection_id: int, instrument_id: int) -> Position:
    """Return the holding with its open trade, made if missing, locked until the transaction ends."""
    key = (connection_id, instrument_id)
    where = "WHERE connection_id = %s AND instrument_id = %s FOR NO KEY UPDATE"
    held = sql.first(Position, where, *key)
    if held is None:
        new = Position(connection_id=connection_id, instrument_id=instrument_id)
        Position.objects.bulk_create([new], ignore_conflicts=True)
        held = sql.rows(Position, where, *key)[0]
    if held.trade_id is not None:
        held.trade = sql.rows(Trade, "WHERE id = %s", held.trade_id)[0]
    return held


def save_position(held: Position) -> None:
    """Write the holding that `book` moved."""
    query = """
        UPDATE brokers_position
        SET quantity = %s, average_price = %s, realised_pnl = %s, fees = %s, trade_id = %s, updated_at = %s
        WHERE id = %s
    """
    numbers = (held.quantity, held.average_price, held.realised_pnl, held.fees)
    sql.change(query, *numbers, held.trade.pk if held.trade else None, timezone.now(), held.pk)


def deals_of(owner: str, row_id: int) -> list[Deal]:
    """Return the fills of an order (owner "order_id") or of a trade ("trade_id")."""
    rows = Fill.objects.filter(**{owner: row_id}).order_by("id").values_list("side", "quantity", "price", "fee")
    return [Deal(*row) for row in rows]


def post_execution(order: Order, held: Position, execution: Execution) -> None:
    """Write one execution as a fill (two when it crosses zero), move `held` in memory and the trade in its row."""
    deal = Deal(execution.side, execution.quantity, execution.price, execution.fee)
    closing, opening = pnl.split(held.quantity, deal)
    trade_id = execution.venue_trade_id
    if closing is not None:
        _book_part(order, held, closing, trade_id, execution.executed_at)
        trade_id += SECOND_PART
    if opening is not None:
        _book_part(order, held, opening, trade_id, execution.executed_at)


def _book_part(order: Order, held: Position, deal: Deal, venue_trade_id: str, at: datetime) -> None:
    trade, is_new = held.trade, held.trade is None
    if trade is None:
        trade = _open_trade(order, deal, at)
    _write_fill(order, trade, deal, venue_trade_id, at)
    after = pnl.apply(Holding(held.quantity, held.average_price, held.realised_pnl, held.fees), deal)
    held.quantity, held.average_price = after.quantity, after.average_price
    held.realised_pnl, held.fees = after.realised_pnl, after.fees
    held.trade = trade if after.quantity else None
    if not is_new:
        _update_trade(trade, closed_at=None if held.quantity else at)


def _open_trade(order: Order, deal: Deal, at: datetime) -> Trade:
    return Trade.objects.create(
        connection_id=order.connection_id,
        instrument_id=order.instrument_id,
        side=Trade.Side.LONG if deal.side == "buy" else Trade.Side.SHORT,
        market=order.market,
        quantity=deal.quantity,
        entry_price=deal.price,
        fees=deal.fee,
        pnl=-deal.fee,
        opened_at=at,
    )


def _write_fill(order: Order, trade: Trade, deal: Deal, venue_trade_id: str, at: datetime) -> None:
    fill = Fill.objects.create(
        connection_id=order.connection_id,
        order=order,
        instrument_id=order.instrument_id,
        trade=trade,
        venue_trade_id=venue_trade_id,
        side=deal.side,
        quantity=deal.quantity,
        price=deal.price,
        fee=deal.fee,
        executed_at=at,
    )
    announce(signals.fill_recorded, Fill, fill_id=fill.pk, order_id=order.pk)


def _update_trade(trade: Trade, closed_at: datetime | None) -> None:
    """Derive the trade from its fills; it is closed when the position is flat."""
    sums = pnl.figures(trade.side, deals_of("trade_id", trade.pk))
    state = Trade.State.OPEN if closed_at is None else Trade.State.CLOSED
    Trade.objects.filter(pk=trade.pk).update(
        quantity=sums.quantity,
        entry_price=sums.entry_price,
        exit_quantity=sums.exit_quantity,
        exit_price=sums.exit_price,
        gross_pnl=sums.gross_pnl,
        fees=sums.fees,
        pnl=sums.pnl,
        state=state,
        closed_at=closed_at,
    )
    if state == Trade.State.CLOSED:
        announce(signals.trade_closed, Trade, trade_id=trade.pk)
        nudge_after_commit(task_names.MARK, trade.connection_id)
