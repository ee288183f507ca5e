"""The broker contract: all that the desk knows of a venue, and all that a venue may know of the desk.

Values only, no Django. Facts that every adapter keeps: a submit has three outcomes (accepted, rejected,
unknown), client order ids are unique per connection, executions are reported once per venue trade id.

A venue brings one or two classes, named in `brokers.venues.registry`:

`Broker`      required, every member of it. Made of a Connection for each use: making it must ask nobody. Where the
              connection's settings can't be used it raises `UnusableSettings`, with words for whoever wrote them.
`LocalVenue`  optional, for a venue that lives in our own process. A venue that names none has its own clock and
              its own books: nothing is done for it but to call its `Broker`, and nobody can empty its accounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop"]
VenueState = Literal["accepted", "partially_filled", "filled", "canceled", "rejected", "expired"]


class BrokerError(Exception):
    """Anything that went wrong between us and a venue. Its subclass is the retry policy."""


class UnusableSettings(BrokerError):
    """A connection's settings can't be used: nothing was asked and nothing sent until a person mends them."""


class OrderRejected(BrokerError):
    """The venue provably refused: nothing was placed. Never retried."""


class DuplicateClientOrderId(OrderRejected):
    """The venue has had this client order id before: look it up, it is ours from an earlier try."""


class OutcomeUnknown(BrokerError):
    """Time-out, disconnect, unreadable answer: the order may be there. Look it up, never send it blindly."""


class VenueUnavailable(BrokerError):
    """A read failed. Says nothing about orders or positions; try again later."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it is sent to the venue. `legs` are its attached stop and target (one cancels the other)."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    legs: tuple["OrderRequest", ...] = ()


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution at the venue. `executed_at` is the market's time, aware UTC."""

    venue_trade_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """The venue's report of one order, with all executions it has had so far."""

    client_order_id: str
    venue_order_id: str
    state: VenueState
    reason: str = ""
    executions: tuple[Execution, ...] = ()


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A net position at the venue; negative when short."""

    symbol: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Updates:
    """Orders that changed after a cursor, oldest change first, and the cursor to ask from next time."""

    cursor: int
    orders: Sequence[VenueOrder] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of an account in words, with its unit, as the page Brokers lists it."""

    label: str
    value: Decimal
    unit: str


class Broker(Protocol):
    """An adapter.

    What reads at the venue (`lookup`, `updates`, `positions`) may raise `VenueUnavailable`; `submit` and `cancel`
    never do. `round_trip_cost` and `settings_summary` ask nobody: they follow from the connection's own row; costs
    that are not known raise `VenueUnavailable` too, so that nothing is decided by a guess.
    """

    #: The venue refuses a second order with the same client id for ever, so "not found" is proof.
    idempotent_client_ids: bool
    #: The venue attaches stop and target to an entry by itself.
    native_brackets: bool
    #: The names that a connection's settings may have; the admin refuses others, as a name that is mistyped would
    #: be passed over silently.
    setting_names: frozenset[str]

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Place an order. Raises OrderRejected or OutcomeUnknown."""

    def cancel(self, client_order_id: str) -> VenueOrder:
        """Cancel what is left of an order and return its state then. Raises OrderRejected or OutcomeUnknown."""

    def lookup(self, client_order_id: str) -> VenueOrder | None:
        """Return the order, or None if the venue does not know it."""

    def updates(self, cursor: int) -> Updates:
        """Return what changed since `cursor`."""

    def positions(self) -> Sequence[VenuePosition]:
        """Return all net positions of the account."""

    def round_trip_cost(self) -> Decimal:
        """Return what entering and leaving at market costs, as a fraction of the price. Every decision asks."""

    def settings_summary(self) -> Sequence[Setting]:
        """Return the settings of the account that a person should know; an empty sequence if there are none."""


class LocalVenue(Protocol):
    """A venue in our own process: it has no clock but our market's, and its books lie in our database.

    Made of nothing, and made in the feed's process too: its module must not import anything heavy.
    """

    #: The table whose lock keeps everybody else out of the books.
    books_table: str

    def has_work(self, instrument_id: int) -> bool:
        """Return whether an order waits for this instrument's candles. One cheap query: asked at every candle."""

    def on_candle(self, instrument_id: int) -> set[int]:
        """Trade what new candles reached; return the ids of connections where something traded."""

    def on_sweep(self) -> set[int]:
        """Do the same for every instrument with work, as a nudge may have been lost. Runs every two seconds."""

    def compact(self, progress: dict[str, int], before: datetime) -> int | None:
        """Delete a batch of old news that newer news repeats, in the caller's transaction; return how much.

        Whoever asks for updates from any cursor must still get every order that changed after it. `progress` is
        kept for the next batch; None when nothing older than `before` (wall time) is left.
        """

    def erase(self, connection_id: int) -> int:
        """Empty an account in the caller's transaction; return a cursor that no update from before is beyond."""
