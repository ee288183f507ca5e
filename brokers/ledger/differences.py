"""What differs between an order of ours and the venue's report of it. Pure: values in, differences out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from brokers.contract import VenueOrder
from brokers.money import ZERO
from brokers.orders import states

Deals = dict[str, tuple[Decimal, Decimal]]  # quantity and price by the venue's trade id


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the venue and we don't agree on. `key` is a client order id, a trade id or a symbol."""

    kind: Literal["order", "fill", "position", "external"]
    key: str
    ours: str
    theirs: str

    @property
    def text(self) -> str:
        """The difference as a sentence."""
        return f"{self.kind} {self.key}: here {self.ours}, at the venue {self.theirs}"


class OurOrder(NamedTuple):
    """What a comparison needs of an order of ours."""

    id: int
    client_order_id: str
    state: str
    quantity: Decimal
    filled_quantity: Decimal

    @property
    def must_be_there(self) -> bool:
        """Whether the venue has to know it: it took it, or executed some of it."""
        return self.state in states.TAKEN or self.filled_quantity > 0


def of_order(
    order: OurOrder | None, fills: Mapping[int, Deals], client_id: str, report: VenueOrder | None
) -> Iterator[Difference]:
    """Yield what differs between an order of ours (None: there is none) and its report (None: the venue has none).

    `fills` has the executions that we booked, by order. The state of an order whose answer may still be on its way
    is not compared.
    """
    if order is None:
        if report is not None:
            yield Difference("external", client_id, "unknown", report.state)
    elif report is None:
        if order.must_be_there:
            yield Difference("order", client_id, order.state, "unknown")
    else:
        if order.state not in states.UNANSWERED and not _agrees(order, report):
            yield Difference("order", client_id, order.state, report.state)
        yield from _compare_fills(fills.get(order.id, {}), report)


def _agrees(order: OurOrder, theirs: VenueOrder) -> bool:
    """Return whether the venue's report would change nothing."""
    if order.state == theirs.state:
        return True
    filled = sum((execution.quantity for execution in theirs.executions), ZERO)
    # A leg that its entry's end cancelled here was never sent there, and the other way round.
    return (
        order.state in states.FINAL
        and states.state_after(order.state, theirs.state, filled, order.quantity) == order.state
        and theirs.state in states.FINAL
    )


def _compare_fills(ours: Deals, report: VenueOrder) -> Iterator[Difference]:
    theirs = {row.venue_trade_id: (row.quantity, row.price) for row in report.executions}
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key) != ours.get(key):
            yield Difference("fill", key, _deal(ours.get(key)), _deal(theirs.get(key)))


def _deal(deal: tuple[Decimal, Decimal] | None) -> str:
    return "missing" if deal is None else f"{deal[0].normalize():f} at {deal[1].normalize():f}"
