"""What a venue reports and can't be true: never recorded, shown until a person settles it, and in nobody's way."""

from dataclasses import replace
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from brokers import sync, task_names
from brokers.contract import Execution, VenueOrder
from brokers.models import Connection, Fill, Order, Position
from brokers.orders import execution, recovery, reports, states
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperEvent, PaperExecution, PaperOrder
from tests.support.brokers import START, add_candle, enter, make_connection, make_instrument, plan, reload

pytestmark = pytest.mark.django_db(transaction=True)
POSSIBLE = Execution("x1", "", "BTCUSDT", "buy", Decimal(1), Decimal(100), Decimal(0), START)
IMPOSSIBLE = {
    "too much": {"quantity": Decimal(11)},
    "the other side": {"side": "sell"},
    "nothing": {"quantity": Decimal(0)},
    "less than nothing": {"quantity": Decimal(-1)},
    "for nothing": {"price": Decimal(0)},
    "no price": {"price": Decimal("NaN")},
    "no quantity": {"quantity": Decimal("NaN")},
    "an endless price": {"price": Decimal("Infinity")},
    "an endless fee": {"fee": Decimal("Infinity")},
}


def overfill(entry: Order) -> None:
    """Let the venue execute 9 more of an order, and say so in its next updates."""
    paper = PaperOrder.objects.get(client_order_id=entry.client_order_id)
    PaperExecution.objects.create(
        account=paper.account, order=paper, trade_id=f"x{paper.pk}", quantity=9, price=1, fee=0, executed_at=START
    )
    PaperEvent.objects.create(account=paper.account, order=paper, kind="executed")


@pytest.mark.parametrize("changes", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.parametrize("state", ["submitting", "accepted", "canceled"])
def test_what_can_not_be_true_is_not_recorded_and_goes_to_a_person(state: str, changes: dict[str, object]) -> None:
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(state=state)
    row = replace(POSSIBLE, client_order_id=entry.client_order_id, **changes)
    assert not reports.record_or_review(entry, VenueOrder(entry.client_order_id, "v1", "accepted", "", (row,)))
    [entry] = reload(entry)
    assert (entry.state, entry.filled_quantity, Fill.objects.count()) == ("needs_review", 0, 0)
    assert "the venue executed" in entry.reason


@pytest.mark.parametrize("state", sorted(set(states.TRANSITIONS) - {"needs_review", "filled", "partially_filled"}))
@pytest.mark.parametrize("by_sync", [False, True])
def test_from_every_state_what_can_not_be_true_goes_to_a_person(state: str, by_sync: bool) -> None:
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(state=state, reason="why")
    report = impossible(entry)
    if by_sync:
        with transaction.atomic():
            assert len(reports.record_all(connection, [report])) == 1
    else:
        assert not reports.record_or_review(*reload(entry), report)
    assert reload(entry)[0].state == "needs_review"
    assert not Fill.objects.exists()


def impossible(entry: Order) -> VenueOrder:
    """A report of more than was ordered."""
    row = replace(POSSIBLE, client_order_id=entry.client_order_id, quantity=Decimal(11))
    return VenueOrder(entry.client_order_id, "v1", "accepted", "", (row,))


def test_one_that_can_not_be_true_keeps_no_other_report_of_its_batch_from_being_recorded() -> None:
    connection, instrument = make_connection(), make_instrument()
    orders = [plan(connection, instrument)[0] for _ in range(3)]
    batch = [impossible(orders[0])]
    for order in orders[1:]:
        row = replace(POSSIBLE, venue_trade_id=f"x{order.pk}", client_order_id=order.client_order_id)
        batch.append(VenueOrder(order.client_order_id, f"v{order.pk}", "accepted", "", (row,)))
    with transaction.atomic():
        assert len(reports.record_all(connection, batch)) == 1
    assert [order.state for order in reload(*orders)] == ["needs_review", "partially_filled", "partially_filled"]
    assert Position.objects.get().quantity == 2


def test_what_fills_an_order_to_the_last_is_no_conflict() -> None:
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    rows = [
        replace(
            POSSIBLE, venue_trade_id=trade_id, client_order_id=entry.client_order_id, quantity=Decimal(quantity)
        )
        for trade_id, quantity in (("x1", 4), ("x2", 6))
    ]
    for count in (1, 2, 2):  # a venue tells of old executions again
        report = VenueOrder(entry.client_order_id, "v1", "accepted", "", tuple(rows[:count]))
        assert reports.record_or_review(entry, report)
    assert (reload(entry)[0].state, Position.objects.get().quantity) == ("filled", 10)


@pytest.mark.parametrize("filled", [True, False])
def test_an_overfill_that_came_by_sync_stays_until_a_person_settles_it(filled: bool) -> None:
    connection, instrument = make_connection(), make_instrument()
    if not filled:
        add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, stop = enter(connection, instrument, stop="95")
    other, *_ = enter(connection, make_instrument("ETHUSDT"))
    overfill(entry)
    sync.sync_connection(connection.pk)
    connection.refresh_from_db()
    assert connection.health == Connection.Health.ERROR
    assert f"{entry.client_order_id}: the venue executed " in connection.last_error
    sync.sync_connection(connection.pk)
    connection.refresh_from_db()
    assert (connection.health, connection.last_error) == (Connection.Health.OK, "")
    entry, stop, other = reload(entry, stop, other)
    assert (entry.state, other.state, stop.state) == ("needs_review", "filled", "accepted")
    assert entry.filled_quantity == Position.objects.get(instrument=instrument).quantity == (10 if filled else 4)
    add, *_ = plan(connection, instrument)
    execution.submit(add.pk)
    assert reload(add)[0].state == "pending"
    with patch("algotrendy.events.nudge") as nudge:
        settled = recovery.resolve_by_hand(order=entry, by=User.objects.create(username="ann"))
    # What waited for it leaves at once.
    assert (task_names.SUBMIT, add.pk) in [call.args for call in nudge.call_args_list]
    assert (settled.state, settled.filled_quantity) == (("filled", 10) if filled else ("canceled", 4))
    assert settled.reason.startswith("settled by ann: what the venue reports can't be true")
    assert reload(stop)[0].state == "accepted"
    execution.submit(add.pk)
    assert reload(add)[0].state != "pending"


@pytest.mark.parametrize(
    ("word", "quantity", "after"),
    [
        ("accepted", 0, "accepted"),
        ("accepted", 4, "partially_filled"),
        ("filled", 10, "filled"),
        ("canceled", 4, "canceled"),
        ("rejected", 0, "rejected"),
        ("expired", 0, "expired"),
    ],
)
def test_a_person_settles_an_order_by_whatever_the_venue_reports_of_it_then(
    word: str, quantity: int, after: str
) -> None:
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(state="needs_review", reason="the venue executed 11")
    row = replace(POSSIBLE, client_order_id=entry.client_order_id, quantity=Decimal(quantity))
    report = VenueOrder(entry.client_order_id, "v1", word, "", (row,) if quantity else ())
    with patch.object(PaperBroker, "lookup", return_value=report):
        settled = recovery.resolve_by_hand(order=entry, by=User.objects.create(username="ann"))
    assert (settled.state, settled.filled_quantity) == (after, quantity)


def test_an_order_is_settled_by_what_it_had_filled_when_it_is_settled() -> None:
    connection, instrument = make_connection(), make_instrument()
    [entry] = plan(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(state="needs_review", reason="the venue executed 11")
    asked = Order.objects.get(pk=entry.pk)
    Order.objects.filter(pk=entry.pk).update(filled_quantity=4, average_price=100)
    settled = recovery.resolve_by_hand(order=asked, by=User.objects.create(username="ann"))
    assert (settled.state, settled.filled_quantity) == ("canceled", 4)


@pytest.mark.parametrize("by_sync", [False, True])
def test_an_order_in_review_goes_on_by_itself_when_the_venue_corrects_its_report(by_sync: bool) -> None:
    connection, instrument = make_connection(), make_instrument()
    entry, *_ = enter(connection, instrument)
    overfill(entry)
    sync.sync_connection(connection.pk)
    assert reload(entry)[0].state == "needs_review"
    PaperExecution.objects.filter(trade_id__startswith="x").delete()
    if by_sync:
        paper = PaperOrder.objects.get(client_order_id=entry.client_order_id)
        PaperEvent.objects.create(account=paper.account, order=paper, kind="executed")
        sync.sync_connection(connection.pk)
    else:
        assert reports.record_or_review(entry, PaperBroker(connection).lookup(entry.client_order_id))
    assert reload(entry)[0].state == "filled"
