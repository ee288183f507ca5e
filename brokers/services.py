"""Planning and cancelling orders, and closing positions. All run inside the caller's transaction."""

from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Sum

from algotrendy.events import nudge_after_commit
from algotrendy.history.changes import note
from brokers import selectors, task_names
from brokers.desk_state import DeskHalted, set_desk_state
from brokers.ledger.posting import lock_position
from brokers.models import Connection, Desk, Order, Position
from brokers.money import to_step, to_tick
from brokers.orders.cancelling import request_cancel
from brokers.orders.ids import client_order_id
from brokers.orders.transitions import announce_order, end_legs, transition
from brokers.venues.names import DEFAULT_VENUE
from market.models import Instrument, Quote

__all__ = [
    "CannotCancel",
    "CannotClose",
    "DeskHalted",
    "cancel_entries",
    "cancel_order",
    "close_position",
    "ensure_default_connection",
    "plan_entry",
    "plan_exit",
    "send",
    "set_desk_state",
]
OPPOSITE = {"buy": Order.Side.SELL, "sell": Order.Side.BUY}
User = AbstractBaseUser | None


class CannotCancel(Exception):
    """The order is on its way to the venue, or its end is already known."""


class CannotClose(Exception):
    """The exit could not leave: nothing was ordered, and the message says why."""


def ensure_default_connection() -> Connection:
    """Return the oldest connection at the default venue, made with its defaults if there is none."""
    connection = Connection.objects.filter(venue=DEFAULT_VENUE).order_by("pk").first()
    return connection or Connection.objects.create(name=DEFAULT_VENUE)


def plan_entry(
    *,
    desk: Desk,
    connection: Connection,
    instrument: Instrument,
    reference: str,
    side: str,
    quantity: Decimal,
    stop: Decimal | None,
    target: Decimal | None,
    price: Decimal,
    market: str,
    good_until: datetime | None,
    after: Order | None = None,
) -> list[Order]:
    """Write a market entry and its stop and target legs as pending orders, the entry first.

    `desk` is the desk as it was read, `price` the price the plan was made at. The quantity is rounded down to a
    step, prices to a tick. With `after` the entry leaves only when that order is filled; without, it still follows
    an exit that is under way, or the bracket of what is closed would be left on what is opened. Raises ValueError
    when nothing is left to order, IntegrityError when `reference` was planned before.
    """
    quantity = to_step(quantity, instrument.step_size)
    if quantity <= 0:
        raise ValueError(f"quantity is below one step of {instrument.step_size.normalize():f} {instrument}")
    entry = Order.objects.create(
        connection=connection,
        instrument=instrument,
        role=Order.Role.ENTRY,
        side=side,
        quantity=quantity,
        market=market,
        client_order_id=client_order_id(desk.uid, reference, "entry"),
        reference_price=price,
        good_until=good_until,
        after=after or _exit_under_way(connection, instrument),
    )
    legs = []
    if stop is not None:
        legs.append(_leg(entry, Order.Role.STOP, client_order_id(desk.uid, reference, "stop"), stop))
    if target is not None:
        legs.append(_leg(entry, Order.Role.TARGET, client_order_id(desk.uid, reference, "target"), target))
    Order.objects.bulk_create(legs)
    announce_order(entry.pk, entry.state)
    return [entry, *legs]


def _exit_under_way(connection: Connection, instrument: Instrument) -> Order | None:
    exits = selectors.open_with_role(Order.Role.EXIT, connection.pk, instrument.pk)
    return exits[-1] if exits else None


def _leg(entry: Order, role: Order.Role, client_id: str, price: Decimal) -> Order:
    """Return the unsaved stop or target that closes `entry` at `price`, rounded to a tick."""
    level = to_tick(price, entry.instrument.tick_size)
    is_stop = role == Order.Role.STOP
    return Order(
        connection=entry.connection,
        instrument=entry.instrument,
        role=role,
        type=Order.Type.STOP if is_stop else Order.Type.LIMIT,
        side=OPPOSITE[entry.side],
        quantity=entry.quantity,
        market=entry.market,
        client_order_id=client_id,
        reference_price=entry.reference_price,
        stop_price=level if is_stop else None,
        limit_price=None if is_stop else level,
        parent=entry,
        reduce_only=True,
    )


def plan_exit(
    *,
    desk: Desk,
    connection: Connection,
    instrument: Instrument,
    reference: str,
    quantity: Decimal,
    side: str,
    price: Decimal | None,
    market: str,
) -> Order:
    """Write a reduce-only market order as pending, and withdraw entries of this instrument that have not left.

    `desk` is the desk as it was read, `side` the order's own: "sell" closes a long. Raises IntegrityError when
    `reference` was planned before.
    """
    cancel_entries(connection=connection, instrument=instrument, reason="position was closed before it left")
    order = Order.objects.create(
        connection=connection,
        instrument=instrument,
        role=Order.Role.EXIT,
        side=side,
        quantity=abs(quantity),
        reduce_only=True,
        reference_price=price,
        market=market,
        client_order_id=client_order_id(desk.uid, reference, "exit"),
    )
    announce_order(order.pk, order.state)
    return order


def send(orders: list[Order]) -> None:
    """Have the orders submitted after commit. Legs go with their entry, followers when their time has come."""
    for order in orders:
        if order.parent_id is None and order.after_id is None:
            nudge_after_commit(task_names.SUBMIT, order.pk)


def cancel_entries(*, connection: Connection, instrument: Instrument, reason: str) -> None:
    """Withdraw entries that have not left, and have what is left of the others cancelled, wherever they are.

    The position is locked first, as it is by whoever records what the venue did to several of them.
    """
    lock_position(connection.pk, instrument.pk)
    for order in selectors.open_with_role(Order.Role.ENTRY, connection.pk, instrument.pk):
        if transition(order.pk, Order.State.CANCELED, sources=[Order.State.PENDING], reason=reason):
            end_legs(order.pk, Order.State.CANCELED, reason)
        else:
            request_cancel(order.pk, reason)


def cancel_order(*, order: Order, by: User) -> str:
    """Cancel what is left of an order; return a sentence of what was done.

    One that never left is cancelled here and now. For any other the cancel is written down, and asked of the venue
    until it is final. Raises CannotCancel for a leg that waits for its entry, and for what is already over.
    """
    reason = f"cancelled by {by.get_username() if by else 'the desk'}"
    with transaction.atomic():
        if order.parent_id is None and transition(
            order.pk, Order.State.CANCELED, sources=[Order.State.PENDING], reason=reason
        ):
            end_legs(order.pk, Order.State.CANCELED, reason)
            note(by, order, "cancelled it before it left", name=f"Order #{order.pk}")
            return "cancelled before it left"
        requested = request_cancel(order.pk, reason)
        order.refresh_from_db(fields=["state", "cancel_requested_at", "cancel_reason"])
        if not requested:
            raise CannotCancel(f"order is {order.get_state_display().lower()}: it cannot be cancelled now")
        note(by, order, "had the venue asked to cancel it", name=f"Order #{order.pk}")
    if order.state in Order.AT_VENUE:
        return "its cancel is requested; the venue is asked until it has ended"
    return "its cancel is requested; the venue is asked as soon as it is known to have the order"


def close_position(
    *, connection: Connection, instrument: Instrument, by: User, allow_exits: bool = False
) -> Order | None:
    """Withdraw waiting entries and order the way out; return the exit, or None when there is nothing to close.

    An exit that is already under way is returned instead of a second one. Stop and target stay until the exit
    has filled, so that the position is never bare; the venue ends them when it is flat. Raises CannotClose, with
    nothing changed, when the exit could not leave: a connection that is off, a desk that is halted. With
    `allow_exits` a halted desk that has something to close is set to exits only.
    """
    with transaction.atomic():
        row = Desk.objects.select_for_update(no_key=True).get(pk=selectors.desk().pk)
        held = lock_position(connection.pk, instrument.pk)
        if held.quantity:
            _let_exits_leave(row, connection, by, allow_exits)
        cancel_entries(connection=connection, instrument=instrument, reason=f"closed by {by or 'the desk'}")
        if not held.quantity:
            return None
        if under_way := _exit_under_way(connection, instrument):
            return under_way
        exits = Order.objects.filter(connection=connection, instrument=instrument, role=Order.Role.EXIT)
        quote = Quote.objects.filter(instrument=instrument).first()
        order = plan_exit(
            desk=row,
            connection=connection,
            instrument=instrument,
            reference=f"close-{held.trade_id}-{exits.count()}",
            quantity=_most_held(held),
            side=Order.Side.SELL if held.quantity > 0 else Order.Side.BUY,
            price=quote.price if quote else None,
            market=quote.kind if quote else held.trade.market if held.trade else "",
        )
        send([order])
        amount = f"{held.quantity.normalize():f}"
        note(by, order, f"closed {amount} {instrument} at market: order #{order.pk}", name=str(instrument))
        return order


def _let_exits_leave(row: Desk, connection: Connection, by: User, allow_exits: bool) -> None:
    """Raise CannotClose if an exit can't leave now; end a halt that stands in its way with `allow_exits`."""
    if not Connection.objects.filter(pk=connection.pk, enabled=True).exists():
        raise CannotClose(f"connection {connection.name} is switched off: no order leaves by it")
    if selectors.effective_state(row) != Desk.State.HALTED:
        return
    if not allow_exits:
        raise CannotClose(str(DeskHalted(row)))
    who = by.get_username() if by else "the command line"
    set_desk_state(
        state=Desk.State.REDUCING, by=by, reason=f"exits allowed by {who} to close, after: {row.reason}"
    )


def _most_held(held: Position) -> Decimal:
    """Return the most that a position can be when the entries that still fill have ended: the exit leaves then."""
    side = Order.Side.BUY if held.quantity > 0 else Order.Side.SELL
    rows = selectors.open_orders(held.connection_id, held.instrument_id).filter(role=Order.Role.ENTRY, side=side)
    left = rows.aggregate(left=Sum(F("quantity") - F("filled_quantity")))["left"]
    return abs(held.quantity) + (left or 0)
