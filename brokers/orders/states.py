"""The order state machine: which change may follow which. Pure.

                  ┌────────────→ denied (never sent)
    pending ──────┼────────────→ canceled | expired (never sent)
      │  ↑        └→ submitting ──→ accepted ⇄ partially_filled ──→ filled
      │  └─ unknown ←──┘ │  │                └──────────┴──→ canceled | rejected | expired
      │        └→ needs_review ──→ whatever the venue reports or a person settles
      └──→ legs: accepted along with their entry

An order that was thought dead may still turn out filled: the fill is the truth. No report that can be true takes
an order out of `filled`. One that can't (more executed than was ordered, the wrong side) takes any order to
`needs_review`.

Which states count as under way depends on the question; the sets below are all there are:

`OPEN`        Can anything still happen to it? Pages, the figures, what will be held once all has filled
              (`account.Account.projected`), whether an instrument may change its feed.
`IN_FLIGHT`   Has it left, so that the venue may fill it? Limits at the claim (`account.Account.in_flight`). An
              order that is only planned uses up no limit: it is checked itself when it leaves.
`AT_VENUE`    Is it there to be cancelled?
`IN_DOUBT`    Does nobody know whether it is there?
`UNANSWERED`  May an answer to its submit still be on its way? Comparing books leaves these out.
"""

from decimal import Decimal
from typing import Final

from brokers.contract import VenueState

VENUE_STATES: Final = frozenset({"accepted", "partially_filled", "filled", "canceled", "rejected", "expired"})

REVIEW: Final = frozenset({"needs_review"})
TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    # The venue may report a pending order: of a leg, or of one that it was thought never to have got.
    "pending": VENUE_STATES | {"submitting", "denied"} | REVIEW,
    "submitting": VENUE_STATES | {"unknown"} | REVIEW,
    "unknown": VENUE_STATES | {"pending"} | REVIEW,
    "needs_review": VENUE_STATES,
    "accepted": VENUE_STATES - {"accepted"} | REVIEW,
    "partially_filled": frozenset({"filled", "canceled", "expired"}) | REVIEW,
    "filled": REVIEW,
    "canceled": frozenset({"filled"}) | REVIEW,
    "rejected": frozenset({"filled"}) | REVIEW,
    "expired": frozenset({"filled"}) | REVIEW,
    "denied": frozenset({"filled"}) | REVIEW,
}

SOURCES: Final[dict[str, tuple[str, ...]]] = {
    state: tuple(sorted(before for before, after in TRANSITIONS.items() if state in after))
    for state in TRANSITIONS
}
FINAL: Final = frozenset({"filled", "canceled", "rejected", "expired", "denied"})
OPEN: Final = frozenset(TRANSITIONS) - FINAL
IN_FLIGHT: Final = OPEN - {"pending"}
AT_VENUE: Final = frozenset({"accepted", "partially_filled"})
IN_DOUBT: Final = frozenset({"unknown", "needs_review"})
UNANSWERED: Final = frozenset({"submitting", "unknown"})
TAKEN: Final = AT_VENUE | {"filled"}  # the venue took it, and has not ended it


def allowed(before: str, after: str) -> bool:
    """Return whether an order in state `before` may become `after`."""
    return after in TRANSITIONS[before]


def state_after(current: str, reported: VenueState, filled: Decimal, quantity: Decimal) -> str:
    """Return the state that follows when the venue reports `reported` and `filled` of `quantity` is recorded.

    Fills outrank the report: a full order is filled whatever it is, "filled" is believed only when the fills are
    here, and a state that may not follow the current one changes nothing.
    """
    if filled >= quantity:
        wanted = "filled"
    elif reported in TAKEN:
        wanted = "partially_filled" if filled > 0 else "accepted"
    elif reported == "rejected" and filled > 0:
        wanted = "canceled"
    else:
        wanted = reported
    return wanted if allowed(current, wanted) else current
