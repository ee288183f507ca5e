"""What differs between an order of ours and its report, and which orders a venue has reported."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import Execution, VenueOrder
from brokers.ledger.differences import Deals, Difference, OurOrder, of_order
from brokers.ledger.reported import Reported
from brokers.orders import states

BOOKED: Deals = {"t1": (Decimal("4.00"), Decimal("100.50"))}


def ours(state: str, filled: str = "0") -> OurOrder:
    return OurOrder(7, "abc", state, Decimal(10), Decimal(filled))


def execution(trade: str = "t1", quantity: str = "4", price: str = "100.5") -> Execution:
    return Execution(
        trade,
        "abc",
        "BTCUSDT",
        "buy",
        Decimal(quantity),
        Decimal(price),
        Decimal(0),
        datetime(2026, 1, 1, tzinfo=UTC),
    )


def report(state: Any, *executions: Execution) -> VenueOrder:
    return VenueOrder("abc", "v1", state, executions=executions)


def compared(order: OurOrder | None, theirs: VenueOrder | None, booked: Deals | None = None) -> list[Difference]:
    return list(of_order(order, {7: booked} if booked else {}, "abc", theirs))


def test_an_order_of_somebody_else_is_external() -> None:
    assert compared(None, report("filled")) == [Difference("external", "abc", "unknown", "filled")]
    assert compared(None, None) == []


@pytest.mark.parametrize("state", sorted(states.TRANSITIONS))
def test_what_the_venue_took_or_executed_has_to_be_there(state: str) -> None:
    missing = [Difference("order", "abc", state, "unknown")]
    assert compared(ours(state), None) == (missing if state in states.TAKEN else [])
    assert compared(ours(state, "0.001"), None) == missing


@pytest.mark.parametrize(
    ("state", "reported", "differs"),
    [
        ("accepted", "accepted", False),
        ("accepted", "partially_filled", True),
        ("accepted", "canceled", True),
        ("pending", "accepted", True),
        ("needs_review", "accepted", True),
        ("submitting", "accepted", False),  # the answer may still be on its way
        ("unknown", "canceled", False),
        # Over on both sides, and nothing of it was executed: which word each has for it makes no difference.
        ("canceled", "rejected", False),
        ("canceled", "expired", False),
        ("denied", "canceled", False),
        ("expired", "accepted", True),
        ("canceled", "accepted", True),
    ],
)
def test_a_state_differs_where_the_report_would_change_something(state: str, reported: str, differs: bool) -> None:
    expected = [Difference("order", "abc", state, reported)] if differs else []
    assert compared(ours(state), report(reported)) == expected


def test_an_order_that_is_over_here_and_was_filled_there_differs() -> None:
    whole = execution(quantity="10")
    assert compared(ours("canceled"), report("filled", whole)) == [
        Difference("order", "abc", "canceled", "filled"),
        Difference("fill", "t1", "missing", "10 at 100.5"),
    ]
    halves = (execution("t1", "4"), execution("t2", "6"))
    assert compared(ours("canceled"), report("canceled", *halves))[0].kind == "fill"
    assert compared(ours("canceled"), report("expired", *halves))[0] == Difference(
        "order", "abc", "canceled", "expired"
    )


def test_executions_are_compared_by_their_quantity_and_price_not_by_their_spelling() -> None:
    assert compared(ours("partially_filled", "4"), report("partially_filled", execution()), BOOKED) == []


@pytest.mark.parametrize(
    ("executions", "differences"),
    [
        ((), [("t1", "4 at 100.5", "missing")]),
        ((execution(quantity="5"),), [("t1", "4 at 100.5", "5 at 100.5")]),
        ((execution(price="101"),), [("t1", "4 at 100.5", "4 at 101")]),
        ((execution(), execution("t2", "100", "1000")), [("t2", "missing", "100 at 1000")]),
        (
            (execution("t9"), execution("t0", "1")),
            [("t0", "missing", "1 at 100.5"), ("t1", "4 at 100.5", "missing"), ("t9", "missing", "4 at 100.5")],
        ),
    ],
)
def test_each_execution_that_differs_is_named_in_the_order_of_trade_ids(
    executions: tuple[Execution, ...], differences: list[tuple[str, str, str]]
) -> None:
    expected = [Difference("fill", *row) for row in differences]
    assert compared(ours("partially_filled"), report("partially_filled", *executions), BOOKED) == expected


def test_executions_are_compared_while_the_answer_is_still_on_its_way() -> None:
    assert compared(ours("submitting"), report("filled", execution())) == [
        Difference("fill", "t1", "missing", "4 at 100.5")
    ]


def test_a_difference_is_a_sentence() -> None:
    text = Difference("order", "abc", "accepted", "unknown").text
    assert text == "order abc: here accepted, at the venue unknown"


@given(st.integers(0, 500), st.sets(st.integers(0, 2_000)), st.integers(0, 2_500))
def test_reported_orders_are_those_that_were_added(after: int, ids: set[int], further: int) -> None:
    reported = Reported(after)
    for order_id in ids:
        reported.add(order_id)
    first = after - after % 8
    assert [number for number in range(2_600) if number in reported] == sorted(
        number for number in ids if number >= first
    )
    reported.begin_after(further)
    first = max(first, further - further % 8)
    assert [number for number in range(2_600) if number in reported] == sorted(
        number for number in ids if number >= first
    )


def test_reported_orders_take_a_bit_each_and_are_read_back_from_their_bytes() -> None:
    reported = Reported(19)
    for order_id in (16, 23, 24, 41):
        reported.add(order_id)
    assert (reported.first, bytes(reported.bits)) == (16, bytes([0b1000_0001, 0b1, 0, 0b10]))
    again = Reported(19, bytes(reported.bits))
    assert [number for number in range(100) if number in again] == [16, 23, 24, 41]
    again.begin_after(30)
    assert (again.first, bytes(again.bits)) == (24, bytes([0b1, 0, 0b10]))
    again.add(25)
    assert bytes(again.bits) == bytes([0b11, 0, 0b10])


def test_an_order_from_before_the_beginning_is_passed_over() -> None:
    reported = Reported(16)
    reported.add(15)
    assert (bytes(reported.bits), 15 in reported, -1 in reported) == (b"", False, False)


def test_going_back_with_the_beginning_brings_nothing_back() -> None:
    reported = Reported(64)
    reported.add(70)
    reported.begin_after(8)
    assert (reported.first, 70 in reported) == (64, True)
    reported.begin_after(400)
    assert (reported.first, bytes(reported.bits)) == (400, b"")
    reported.add(401)
    assert 401 in reported
