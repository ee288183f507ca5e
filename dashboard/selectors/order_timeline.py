"""The timeline of an order, from rows that were fetched before. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dashboard.formatting import price, quantity

if TYPE_CHECKING:
    from brokers.models import Fill, Order

WORDS = {
    "filled": "Filled",
    "canceled": "Canceled",
    "rejected": "Rejected by the venue",
    "expired": "Expired",
    "denied": "Denied: never sent",
}
TROUBLE = frozenset({"rejected", "denied"})


@dataclass(frozen=True, slots=True)
class Event:
    """One step of an order. `css` colours its dot; without `at` it has not happened yet."""

    at: datetime | None
    title: str
    text: str = ""
    css: str = ""


def order_timeline(order: "Order", fills: Iterable["Fill"], *, by_hand: bool = False) -> list[Event]:
    """Return what happened to `order`, oldest first, ending with its state or what it waits for (wall times).

    `by_hand`: a person ordered it, no decision.
    """
    events = [Event(order.created_at, "Planned", "by hand" if by_hand else "written together with its decision")]
    if order.submitted_at:
        events.append(Event(order.submitted_at, "Sent to the venue", css="info"))
    if order.accepted_at:
        events.append(Event(order.accepted_at, "Accepted by the venue", order.venue_order_id, "info"))
    events += [
        Event(
            fill.recorded_at,
            f"Fill {quantity(fill.quantity, order.instrument)} @ {price(fill.price, order.instrument)}",
            f"venue trade {fill.venue_trade_id}",
            "up",
        )
        for fill in fills
    ]
    if order.cancel_requested_at:
        events.append(Event(order.cancel_requested_at, "Cancel requested", order.cancel_reason))
        events.sort(key=lambda event: event.at or order.created_at)
    return [*events, _last(order)]


def _last(order: "Order") -> Event:
    if order.is_final:
        css = "alarm" if order.state in TROUBLE else ""
        return Event(order.closed_at or order.updated_at, WORDS[order.state], order.reason, css)
    if order.state in order.IN_DOUBT:
        return Event(order.updated_at, str(order.get_state_display()), order.reason, "alarm")
    return Event(None, _waiting_for(order), order.reason)


def _waiting_for(order: "Order") -> str:
    if order.cancel_waits and order.state in order.AT_VENUE:
        return "The venue is asked to cancel what is left, until it has"
    if order.state == "pending" and order.parent_id:
        return "Waits for its entry to be sent"
    if order.state == "pending" and order.after_id:
        return "Waits for the order before it to fill"
    return {
        "pending": "Waits to be sent",
        "submitting": "On its way to the venue",
        "accepted": "Working at the venue",
        "partially_filled": "The rest is working at the venue",
    }[order.state]
