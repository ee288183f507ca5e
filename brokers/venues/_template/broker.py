"""The adapter of a venue, with every member of the contract still to be written.

What is not written yet fails as a venue does that cannot be reached: an order is in doubt, a read is unavailable.
Nothing is ever taken for sent, refused or flat.
"""

from collections.abc import Sequence
from decimal import Decimal

from brokers.contract import (
    OrderRequest,
    OutcomeUnknown,
    Setting,
    Updates,
    VenueOrder,
    VenuePosition,
    VenueUnavailable,
)
from brokers.models import Connection

NOT_WRITTEN = "this adapter is not written yet"


class TemplateBroker:
    """The `Broker` of one account. Keep `__init__` cheap: it is made anew for each use, and must ask nobody."""

    #: Required. True only if the venue refuses a client id that it has ever had: then "not found" proves that an
    #: order never came, and it is sent again. False sends an order in doubt that can't be found to a person.
    idempotent_client_ids = False
    #: Required. True only if the venue itself ends the target when the stop fills, and the other way round. Where
    #: it is false the desk cancels the leg that is left when the position is flat.
    native_brackets = False
    #: Required. The names that the settings of a connection may have; the admin refuses others.
    setting_names: frozenset[str] = frozenset()

    def __init__(self, connection: Connection) -> None:
        """Read the connection's settings. Raises UnusableSettings, in words, where they can't be used."""
        self.connection = connection

    def submit(self, request: OrderRequest) -> VenueOrder:
        """Place the order with our client id, with its legs; return it with what it executed at once. Required.

        Raises OrderRejected only where the venue *provably* refused and nothing was placed,
        DuplicateClientOrderId where it has had the id before, and OutcomeUnknown for all else: time-out,
        disconnect, 5xx, an answer that can't be read. Never VenueUnavailable. Set a time-out below the five
        seconds after which a claim counts as lost, and switch off the retries of the venue's library.
        """
        raise OutcomeUnknown(NOT_WRITTEN)

    def cancel(self, client_order_id: str) -> VenueOrder:
        """Cancel what is left, its legs too; return what the order then is, also one that was over. Required.

        Raises OrderRejected if the venue knows no such order, OutcomeUnknown when in doubt.
        """
        raise OutcomeUnknown(NOT_WRITTEN)

    def lookup(self, client_order_id: str) -> VenueOrder | None:
        """Return the order with all its executions, None only if the venue says that it has none. Required.

        Raises VenueUnavailable if it could not be asked.
        """
        raise VenueUnavailable(NOT_WRITTEN)

    def updates(self, cursor: int) -> Updates:
        """Return the orders that changed after `cursor` (0: all), oldest first, and the next cursor. Required.

        An unchanged cursor means that there is no more. Reporting an order twice is harmless, leaving one out is
        not. Raises VenueUnavailable.
        """
        raise VenueUnavailable(NOT_WRITTEN)

    def positions(self) -> Sequence[VenuePosition]:
        """Return net positions, negative when short, flat ones left out. Required.

        Raises VenueUnavailable; an empty answer means that the account is flat, never that the query failed.
        """
        raise VenueUnavailable(NOT_WRITTEN)

    def round_trip_cost(self) -> Decimal:
        """Return what entering and leaving at market costs (spread, slippage, two fees) as a fraction. Required.

        From `self.connection` alone, without a query: every decision asks. Raises VenueUnavailable where the costs
        are not known: then nothing is decided by a guess.
        """
        raise VenueUnavailable(NOT_WRITTEN)

    def settings_summary(self) -> Sequence[Setting]:
        """Return what the page Brokers lists of the account. Required, and may be empty. Raises nothing."""
        return ()
