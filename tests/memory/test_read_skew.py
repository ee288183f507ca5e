"""What a decision and a claim read is of one moment: a fill that commits meanwhile is seen before or after it."""

import pytest
from django.db import transaction

from brokers import selectors
from brokers.models import Connection, Desk, Order, Position
from brokers.orders import execution, reports
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperOrder
from market.models import Feed, Instrument
from market.services import FeedBusy, assign_feed
from memory.services import decide
from memory.trade_signal import TradeSignal
from tests.support.agent import signal_now
from tests.support.brokers import enter, make_connection, make_instrument, plan, plan_exit, reload
from tests.support.threads import after_statement

pytestmark = pytest.mark.django_db(transaction=True)


def signal(connection: Connection, instrument: Instrument, intent: str) -> TradeSignal:
    return signal_now(connection, instrument, key=f"alert-{intent}", intent=intent, price=None)


def in_doubt(connection: Connection, instrument, **options: object) -> Order:
    """An entry that the venue has filled and whose answer was lost: here nobody knows of the fill yet."""
    Connection.objects.filter(pk=connection.pk).update(
        settings=connection.settings | {"faults": {"timeout_after": 1}}
    )
    connection.refresh_from_db()
    entry, *_ = enter(connection, instrument, **options)
    assert entry.state == "unknown"
    return entry


def record_fill(entry: Order) -> None:
    """Take in what the venue knows of an order, in a transaction of its own."""
    connection = Connection.objects.get(pk=entry.connection_id)
    reports.record(connection, PaperBroker(connection).lookup(entry.client_order_id))


@pytest.mark.parametrize("table", ["brokers_position", "brokers_order", "brokers_equitymark"])
@pytest.mark.parametrize(("intent", "action"), [("flat", "CLOSE"), ("short", "SELL")])
def test_a_decision_sees_the_entry_as_ordered_or_as_held(table: str, intent: str, action: str) -> None:
    connection, instrument = make_connection(), make_instrument()
    entry = in_doubt(connection, instrument)
    with transaction.atomic(), after_statement(table, lambda: record_fill(entry)) as seen:
        decision = decide(signal(connection, instrument, intent))
    assert seen, "nothing was read of that table"
    assert Position.objects.get().quantity == 10
    [exit_] = [link.order for link in decision.order_links.all() if link.order.role == "exit"]
    assert (decision.action, exit_.side, exit_.quantity) == (action, "sell", 10)


def test_the_claim_counts_an_entry_that_fills_meanwhile_once() -> None:
    connection, instrument = make_connection(), make_instrument()
    selectors.desk()
    Desk.objects.update(max_order_pct=90, max_position_pct=20)
    first = in_doubt(connection, instrument, quantity="40")
    Order.objects.filter(pk=first.pk).update(state="accepted")  # an order in doubt would hold the next one back
    second, *_ = plan(connection, instrument, quantity="140")
    with after_statement("quantity - filled_quantity", lambda: record_fill(first)) as seen:
        execution.submit(second.pk)
    assert seen
    [second] = reload(second)
    assert (second.state, Position.objects.get().quantity) == ("filled", 180), second.reason


def test_an_exit_is_not_given_up_while_the_entry_before_it_turns_out_filled() -> None:
    connection, instrument = make_connection(), make_instrument()
    entry = in_doubt(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    with after_statement('"brokers_position"', lambda: record_fill(entry)) as seen:
        execution.submit(exit_.pk)
    assert seen
    assert reload(exit_)[0].state == "pending"
    execution.submit(exit_.pk)
    assert (reload(exit_)[0].state, Position.objects.get().quantity) == ("filled", 0)


def test_a_feed_can_not_switch_while_the_order_before_it_becomes_a_position() -> None:
    connection, instrument = make_connection(), make_instrument()
    entry = in_doubt(connection, instrument)
    feed = Feed.objects.create(name="other", driver="simulator")
    with after_statement('"brokers_position"', lambda: record_fill(entry)) as seen, pytest.raises(FeedBusy):
        assign_feed(feed=feed, instruments=[instrument])
    assert seen
    assert PaperOrder.objects.get().state == "filled"
