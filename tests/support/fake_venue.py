"""A venue of another kind: nothing outside `brokers.venues` may count on the ways of the first one.

It lives in memory and differs wherever the contract lets a venue differ: a submit only accepts, and the fill comes
when the venue gets to it (`settle`); a client id is refused only while its order is open; a stop and its target
know nothing of each other; costs and settings are its own; and it has no part that lives in the desk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from brokers.contract import (
    DuplicateClientOrderId,
    Execution,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
    Setting,
    Updates,
    VenueOrder,
    VenuePosition,
    VenueState,
    VenueUnavailable,
)
from brokers.models import Connection
from brokers.venues.registry import Venue

NAME: Final = "fake"
VENUE: Final = Venue(adapter="tests.support.fake_venue.FakeBroker")
SYMBOL: Final = "BTCUSDT"
COMMISSION: Final = Decimal("0.001")
SHARE: Final = Decimal("0.25")  # of what is traded at once that one order gets


@dataclass
class Resting:
    """An order as the venue has it. Legs are kept back until their entry is over."""

    number: int
    request: OrderRequest
    state: VenueState = "accepted"
    reason: str = ""
    quantity: Decimal = Decimal(0)
    held_back: bool = False
    executions: list[Execution] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.state in ("accepted", "partially_filled")

    @property
    def filled(self) -> Decimal:
        return sum((execution.quantity for execution in self.executions), Decimal(0))

    def view(self) -> VenueOrder:
        client_id = self.request.client_order_id
        return VenueOrder(client_id, f"F-{self.number}", self.state, self.reason, tuple(self.executions))


@dataclass
class Account:
    """The account and its market, which stands at `price` until `move` is called."""

    price: Decimal = Decimal(100)
    orders: dict[str, Resting] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    lost_answer: str = ""
    dark: bool = False
    trades: int = 0
    held: Decimal = Decimal(0)

    def settle(self) -> None:
        """Work on what was accepted, at the price where the market stands."""
        self.move(self.price)

    def move(self, price: Decimal, volume: Decimal = Decimal(1_000_000)) -> None:
        self.price = price
        for order in list(self.orders.values()):
            if order.is_open and not order.held_back and _reached(order.request, price):
                self._trade(order, min(order.quantity - order.filled, volume * SHARE))

    def place(self, request: OrderRequest) -> Resting:
        order = self._add(request, held_back=False)
        for leg in request.legs:
            self._add(leg, held_back=True)
        return order

    def cancel(self, order: Resting, reason: str) -> None:
        if order.is_open:
            self._change(order, "canceled", reason)
            self._release_legs(order)

    def can_reduce(self, request: OrderRequest) -> Decimal:
        return max(self.held if request.side == "sell" else -self.held, Decimal(0))

    def _add(self, request: OrderRequest, *, held_back: bool) -> Resting:
        order = Resting(len(self.changes) + 1, request, quantity=request.quantity, held_back=held_back)
        self.orders[request.client_order_id] = order
        self.changes.append(request.client_order_id)
        return order

    def _change(self, order: Resting, state: VenueState, reason: str = "") -> None:
        order.state, order.reason = state, reason
        self.changes.append(order.request.client_order_id)

    def _trade(self, order: Resting, quantity: Decimal) -> None:
        request = order.request
        if request.reduce_only:
            quantity = min(quantity, self.can_reduce(request))
        if quantity > 0:
            order.executions.append(self._execution(request, quantity))
            self.held += quantity if request.side == "buy" else -quantity
            self._change(order, "filled" if order.filled == order.quantity else "partially_filled")
        if order.is_open and request.reduce_only and not self.can_reduce(request):
            self._change(order, "canceled", "nothing is left to reduce")
        if not order.is_open:
            self._release_legs(order)

    def _execution(self, request: OrderRequest, quantity: Decimal) -> Execution:
        self.trades += 1
        return Execution(
            venue_trade_id=f"FT-{self.trades}",
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=quantity,
            price=self.price,
            fee=quantity * self.price * COMMISSION,
            executed_at=datetime.now(UTC),
        )

    def _release_legs(self, entry: Resting) -> None:
        for leg in entry.request.legs:
            order = self.orders[leg.client_order_id]
            order.quantity, order.held_back = entry.filled, False
            if not order.quantity:
                self._change(order, "canceled", "its entry holds nothing")


ACCOUNTS: Final[dict[int, Account]] = {}


def account_of(connection: Connection) -> Account:
    """The account behind a connection, opened at its first use."""
    return ACCOUNTS.setdefault(connection.pk, Account())


class FakeBroker:
    """The adapter of one account."""

    idempotent_client_ids = False
    native_brackets = False
    setting_names = frozenset()

    def __init__(self, connection: Connection) -> None:
        self.account = account_of(connection)

    def submit(self, request: OrderRequest) -> VenueOrder:
        lost, self.account.lost_answer = self.account.lost_answer, ""
        if lost == "before":
            raise OutcomeUnknown("no connection")
        earlier = self.account.orders.get(request.client_order_id)
        if earlier is not None and earlier.is_open:
            raise DuplicateClientOrderId("an open order has this id")
        if request.symbol != SYMBOL:
            raise OrderRejected(f"{request.symbol} is not listed")
        if request.reduce_only and not self.account.can_reduce(request):
            raise OrderRejected("there is nothing to reduce")
        order = self.account.place(request)
        if lost == "after":
            raise OutcomeUnknown("the connection broke")
        return order.view()

    def cancel(self, client_order_id: str) -> VenueOrder:
        order = self.account.orders.get(client_order_id)
        if order is None:
            raise OrderRejected("no such order")
        self.account.cancel(order, "cancelled by its owner")
        return order.view()

    def lookup(self, client_order_id: str) -> VenueOrder | None:
        self._read()
        order = self.account.orders.get(client_order_id)
        return order.view() if order else None

    def updates(self, cursor: int) -> Updates:
        self._read()
        changed = dict.fromkeys(self.account.changes[cursor:])
        orders = tuple(self.account.orders[client_id].view() for client_id in changed)
        return Updates(len(self.account.changes), orders)

    def positions(self) -> Sequence[VenuePosition]:
        self._read()
        return (VenuePosition(SYMBOL, self.account.held),) if self.account.held else ()

    def round_trip_cost(self) -> Decimal:
        return 2 * COMMISSION

    def settings_summary(self) -> Sequence[Setting]:
        return (Setting("Commission", COMMISSION * 100, "%"),)

    def _read(self) -> None:
        dark, self.account.dark = self.account.dark, False
        if dark:
            raise VenueUnavailable("the venue does not answer")


def _reached(request: OrderRequest, price: Decimal) -> bool:
    """Whether an order trades at `price`."""
    if request.type == "market":
        return True
    level = request.limit_price if request.type == "limit" else request.stop_price
    assert level is not None
    falling = (request.type == "limit") == (request.side == "buy")
    return price <= level if falling else price >= level
