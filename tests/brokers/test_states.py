"""The order state machine: pure, and as the ledger drives it."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokers import selectors
from brokers.contract import Execution, VenueOrder
from brokers.ledger.pnl import Deal
from brokers.models import Fill, Order, Position
from brokers.orders import reports, states, transitions
from tests.support.brokers import make_connection, make_instrument, plan

QUANTITIES = st.decimals("0.001", "12", places=3)
WORDS = st.sampled_from(sorted(states.VENUE_STATES))


def test_every_state_of_the_model_is_drawn_and_no_other():
    assert set(states.TRANSITIONS) == set(Order.State.values)
    assert (Order.FINAL, Order.IN_DOUBT, Order.AT_VENUE) == (states.FINAL, states.IN_DOUBT, states.AT_VENUE)
    assert all(after in states.TRANSITIONS for afters in states.TRANSITIONS.values() for after in afters)


def test_what_is_over_can_only_turn_out_filled_or_impossible():
    assert states.TRANSITIONS["filled"] == {"needs_review"}
    for state in states.FINAL - {"filled"}:
        assert states.TRANSITIONS[state] == {"filled", "needs_review"}


def test_from_every_state_a_report_that_can_not_be_true_leads_to_a_person():
    assert set(states.SOURCES["needs_review"]) == set(states.TRANSITIONS) - {"needs_review"}


def test_only_the_desk_itself_denies_and_only_what_never_left():
    assert states.SOURCES["denied"] == ("pending",)


def test_the_index_of_open_orders_is_of_what_is_open_and_no_other_state_is_in_flight():
    [index] = [index for index in Order._meta.indexes if index.name == "order_open"]
    assert set(dict(index.condition.children)["state__in"]) == states.OPEN
    assert {"pending"} == states.OPEN - states.IN_FLIGHT
    assert states.IN_FLIGHT == states.AT_VENUE | states.IN_DOUBT | states.UNANSWERED


@pytest.mark.django_db
def test_in_flight_is_what_left_and_is_not_over_without_its_legs():
    connection, instrument = make_connection(), make_instrument()
    for state in states.TRANSITIONS:
        entry, _ = plan(connection, instrument, stop="95")
        Order.objects.filter(parent=entry).update(state="accepted")
        Order.objects.filter(pk=entry.pk).update(
            state=state, reason="why", filled_quantity=10 if state == "filled" else 4
        )
    rows = selectors.account(connection).in_flight
    assert {row.state for row in rows} == states.IN_FLIGHT
    assert {(row.role, row.left) for row in rows} == {("entry", 6)}
    assert selectors.account(make_connection("other")).in_flight == []


@given(st.sampled_from(sorted(states.TRANSITIONS)), WORDS, st.decimals(0, 12, places=3))
def test_what_the_venue_says_never_leaves_the_machine(current, said, filled):
    after = states.state_after(current, said, filled, Decimal(10))
    assert after == current or states.allowed(current, after)
    assert after == "filled" or current != "filled"
    assert (after == "filled") <= (filled >= 10 or current == "filled")


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("told"), WORDS, st.lists(QUANTITIES, max_size=3)),
        st.tuples(st.just("moved"), st.sampled_from(sorted(states.TRANSITIONS)), st.just([])),
    ),
    max_size=8,
)


@pytest.mark.django_db
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_no_sequence_of_events_leaves_the_machine_or_breaks_the_sums(db, events):
    """Words of the venue, in any order and told again, and changes of our own, legal or not."""
    connection = make_connection(f"c{Order.objects.count()}")
    instrument = make_instrument()
    [order] = plan(connection, instrument)
    executions: list[Execution] = []
    for kind, word, quantities in events:
        before = Order.objects.get(pk=order.pk)
        if kind == "moved":
            legal = states.allowed(before.state, word)
            if word == "filled" and before.filled_quantity < before.quantity:
                continue  # only the ledger fills; the database refuses anything else
            assert transitions.transition(order.pk, word, reason="test") == legal
        else:
            executions += [_execution(order, len(executions) + n, q) for n, q in enumerate(quantities)]
            tell(connection, order, word, executions)
        after = Order.objects.get(pk=order.pk)
        assert before.state == after.state or states.allowed(before.state, after.state)
        check_sums(connection, after)


def tell(connection, order, word, executions):
    told = VenueOrder(order.client_order_id, "v1", word, executions=tuple(executions))
    for _ in range(2):  # a venue may say everything twice
        try:
            reports.record(connection, told)
        except reports.LedgerConflict:
            executions.pop()
            return


def check_sums(connection, order):
    fills = list(Fill.objects.filter(order=order))
    assert order.filled_quantity == sum((fill.quantity for fill in fills), Decimal(0)) <= order.quantity
    held = Position.objects.filter(connection=connection).first()
    total = sum((Deal(fill.side, fill.quantity, fill.price).signed for fill in fills), Decimal(0))
    assert (held.quantity if held else 0) == total


def _execution(order, number, quantity):
    return Execution(
        venue_trade_id=f"{order.pk}-{number}",
        client_order_id=order.client_order_id,
        symbol="BTCUSDT",
        side="buy",
        quantity=quantity,
        price=Decimal(100),
        fee=Decimal("0.1"),
        executed_at=order.created_at,
    )


@pytest.mark.parametrize(
    ("current", "reported", "filled", "after"),
    [
        ("submitting", "accepted", "0", "accepted"),
        ("submitting", "accepted", "4", "partially_filled"),
        ("submitting", "accepted", "0.5", "partially_filled"),
        ("partially_filled", "rejected", "0.5", "canceled"),
        ("submitting", "accepted", "10", "filled"),
        ("submitting", "accepted", "11", "filled"),
        ("accepted", "filled", "4", "partially_filled"),  # "filled" is believed only when the fills are here
        ("submitting", "filled", "0", "accepted"),
        ("partially_filled", "rejected", "4", "canceled"),
        ("submitting", "rejected", "0", "rejected"),
        ("submitting", "expired", "0", "expired"),
        ("partially_filled", "canceled", "4", "canceled"),
        ("partially_filled", "accepted", "4", "partially_filled"),
        ("canceled", "accepted", "0", "canceled"),
        ("canceled", "canceled", "10", "filled"),
        ("filled", "canceled", "10", "filled"),
        ("partially_filled", "rejected", "0", "partially_filled"),
    ],
)
def test_the_state_after_a_report_follows_from_its_fills(current, reported, filled, after):
    assert states.state_after(current, reported, Decimal(filled), Decimal(10)) == after
