"""What a venue reports and can't be true: never recorded, shown until a person settles it, and in nobody's way."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from brokers import sync
from brokers.contract import Execution, VenueOrder
from brokers.models import Connection, Fill, Order, Position
from brokers.orders import execution, recovery, reports
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
    "no number": {"price": Decimal("NaN")},
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


@pytest.mark.parametrize("filled", [True, False])
def test_an_overfill_that_came_by_sync_stays_until_a_person_settles_it(filled: bool) -> None:
    connection, instrument = make_connection(), make_instrument()
    if not filled:
        add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, stop = enter(connection, instrument, stop="95")
    other, *_ = enter(connection, make_instrument("ETHUSDT"))
    overfill(entry)
    for _ in range(2):
        sync.sync_connection(connection.pk)
    connection.refresh_from_db()
    assert connection.health == Connection.Health.OK
    entry, stop, other = reload(entry, stop, other)
    assert (entry.state, other.state, stop.state) == ("needs_review", "filled", "accepted")
    assert entry.filled_quantity == Position.objects.get(instrument=instrument).quantity == (10 if filled else 4)
    add, *_ = plan(connection, instrument)
    execution.submit(add.pk)
    assert reload(add)[0].state == "pending"
    settled = recovery.resolve_by_hand(order=entry, by=User.objects.create(username="ann"))
    assert (settled.state, settled.filled_quantity) == (("filled", 10) if filled else ("canceled", 4))
    assert settled.reason.startswith("settled by ann: what the venue reports can't be true")
    assert reload(stop)[0].state == "accepted"
    execution.submit(add.pk)
    assert reload(add)[0].state != "pending"


def test_an_order_in_review_goes_on_by_itself_when_the_venue_corrects_its_report() -> None:
    connection, instrument = make_connection(), make_instrument()
    entry, *_ = enter(connection, instrument)
    overfill(entry)
    sync.sync_connection(connection.pk)
    assert reload(entry)[0].state == "needs_review"
    PaperExecution.objects.filter(trade_id__startswith="x").delete()
    assert reports.record_or_review(entry, PaperBroker(connection).lookup(entry.client_order_id))
    assert reload(entry)[0].state == "filled"
