"""An entry that fills after its position was closed is closed again: once, for what filled, never beyond flat."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from algotrendy import events
from brokers import services, sync, task_names
from brokers.models import Connection, Fill, Order, Position
from brokers.orders import cancelling, execution, late_fills, recovery, reports
from brokers.venues import registry
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperOrder
from market.models import Instrument
from tests.support import fake_venue
from tests.support.brokers import enter, make_connection, make_instrument, plan, plan_exit, reload

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """The process ends here: nothing catches it."""


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk whose nudges are all lost."""
    monkeypatch.setattr(events, "nudge", lambda task, *args: False)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection at a venue that accepts first and fills when it gets to it."""
    monkeypatch.setattr(registry, "VENUES", {fake_venue.NAME: fake_venue.VENUE})
    yield Connection.objects.create(name="second", venue=fake_venue.NAME, mode=Connection.Mode.LIVE)
    fake_venue.ACCOUNTS.clear()


@pytest.fixture
def instrument() -> Instrument:
    return make_instrument(fake_venue.SYMBOL)


def settle(connection: Connection) -> None:
    fake_venue.account_of(connection).settle()
    sync.sync_connection(connection.pk)


def held() -> Decimal:
    return Position.objects.get().quantity


def hold(connection: Connection, instrument: Instrument) -> None:
    """Hold 10 with a stop."""
    enter(connection, instrument, stop="80")
    settle(connection)
    assert held() == 10


def add_in_doubt(connection: Connection, instrument: Instrument, *, side: str = "buy") -> Order:
    """Add 10 of which the answer is lost, and which the venue does not get to yet."""
    fake_venue.account_of(connection).lost_answer = "after"
    add, _ = enter(connection, instrument, side=side, stop="80" if side == "buy" else "120")
    assert add.state == "unknown"
    at_venue(connection, add).held_back = True
    return add


def at_venue(connection: Connection, order: Order) -> fake_venue.Resting:
    return fake_venue.account_of(connection).orders[order.client_order_id]


def close(connection: Connection, instrument: Instrument) -> Order:
    exit_ = services.close_position(connection=connection, instrument=instrument, by=None)
    assert exit_ is not None
    execution.submit(exit_.pk)
    return exit_


def followers() -> list[tuple[str, str, Decimal]]:
    rows = Order.objects.exclude(after=None).filter(role="exit").order_by("id")
    return [(order.side, order.state, order.quantity) for order in rows]


def submit_all() -> None:
    for order_id in Order.objects.filter(state="pending", parent=None).values_list("id", flat=True):
        execution.submit(order_id)


def test_an_add_that_fills_after_the_close_is_closed_again(connection: Connection, instrument: Instrument) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    assert (held(), followers()) == (0, [])
    at_venue(connection, add).held_back = False
    settle(connection)
    assert (held(), followers()) == (10, [("sell", "pending", 10)])
    submit_all()
    settle(connection)
    assert (held(), followers()) == (0, [("sell", "filled", 10)])
    assert fake_venue.account_of(connection).held == 0
    assert not Order.objects.filter(state__in=Order.AT_VENUE).exists()  # brackets ended too


def test_what_fills_in_parts_is_closed_part_by_part(connection: Connection, instrument: Instrument) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    at_venue(connection, add).held_back = False
    fake_venue.account_of(connection).move(Decimal(100), volume=Decimal(16))
    sync.sync_connection(connection.pk)
    assert followers() == [("sell", "pending", 4)]
    submit_all()
    fake_venue.account_of(connection).settle()
    sync.sync_connection(connection.pk)
    submit_all()
    for _ in range(3):
        settle(connection)
        submit_all()
    assert (held(), fake_venue.account_of(connection).held) == (0, 0)
    assert sum(quantity for _, state, quantity in followers() if state == "filled") == 10


def test_a_fill_that_is_known_before_the_exit_has_ended_is_closed_when_it_has(
    connection: Connection, instrument: Instrument
) -> None:
    """The venue ended the exit when 10 were sold, then the add filled; here the add is heard of first."""
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    exit_ = close(connection, instrument)
    fake_venue.account_of(connection).settle()
    at_venue(connection, add).held_back = False
    fake_venue.account_of(connection).settle()
    report = registry.adapter(connection).lookup(add.client_order_id)
    assert report is not None
    reports.record(connection, report)
    assert (held(), followers()) == (20, [])
    sync.sync_connection(connection.pk)
    assert (reload(exit_)[0].state, held(), followers()) == ("canceled", 10, [("sell", "pending", 10)])
    submit_all()
    settle(connection)
    assert (held(), len(followers())) == (0, 1)


def test_a_short_is_bought_back(connection: Connection, instrument: Instrument) -> None:
    enter(connection, instrument, side="sell", stop="120")
    settle(connection)
    add = add_in_doubt(connection, instrument, side="sell")
    close(connection, instrument)
    settle(connection)
    at_venue(connection, add).held_back = False
    settle(connection)
    assert (held(), followers()) == (-10, [("buy", "pending", 10)])


def test_what_was_ordered_after_the_close_waits_for_the_late_fill_to_be_closed(
    connection: Connection, instrument: Instrument
) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    [new] = plan(connection, instrument, side="sell", quantity="5")
    submit_all()
    at_venue(connection, add).held_back = False
    settle(connection)
    execution.submit(new.pk)
    assert reload(new)[0].state == "pending"
    submit_all()
    settle(connection)
    submit_all()
    settle(connection)
    assert (reload(new)[0].state, held()) == ("filled", -5)


def test_where_something_else_is_held_by_then_a_person_must_look(
    connection: Connection, instrument: Instrument
) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    Order.objects.filter(pk=add.pk).update(state="canceled")  # the venue said that it never had it
    enter(connection, instrument, quantity="5")
    settle(connection)
    assert held() == 5
    at_venue(connection, add).held_back = False
    settle(connection)
    [add] = reload(add)
    assert (held(), followers()) == (15, [])
    assert (add.state, add.reason) == ("needs_review", late_fills.OTHERS_HELD)


@pytest.mark.parametrize(
    "values", [{"state": "denied", "reason": "halted"}, {"state": "rejected", "reason": "no"}]
)
def test_an_exit_that_closed_nothing_is_no_close(
    connection: Connection, instrument: Instrument, values: dict[str, str]
) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    Order.objects.filter(pk=exit_.pk).update(**values)
    at_venue(connection, add).held_back = False
    settle(connection)
    assert (held(), followers()) == (20, [])


def test_a_close_that_a_person_called_off_is_no_close(connection: Connection, instrument: Instrument) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    exit_ = close(connection, instrument)
    services.cancel_order(order=reload(exit_)[0], by=None)
    recovery.cancelling.cancel(exit_.pk)
    assert reload(exit_)[0].state == "canceled"
    at_venue(connection, add).held_back = False
    settle(connection)
    assert (held(), followers()) == (20, [])


def test_a_stop_that_comes_first_leaves_nothing_to_close(connection: Connection, instrument: Instrument) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    at_venue(connection, add).held_back = False
    settle(connection)
    fake_venue.account_of(connection).move(Decimal(70))
    sync.sync_connection(connection.pk)
    submit_all()
    settle(connection)
    assert (held(), fake_venue.account_of(connection).held) == (0, 0)
    assert followers() == [("sell", "canceled", 10)]


# --- crashes -----------------------------------------------------------------------------------------------------


def test_a_fill_and_its_way_out_are_written_together_or_not_at_all(
    connection: Connection, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    at_venue(connection, add).held_back = False
    fills = Fill.objects.count()

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(late_fills, "announce_order", kill)
        with pytest.raises(Killed):
            settle(connection)
    assert (held(), followers(), Fill.objects.count()) == (0, [], fills)
    for _ in range(2):  # what was killed is done again, and what is done is done once
        settle(connection)
        recovery.look_up(add.pk)
    assert (held(), followers(), Fill.objects.count()) == (10, [("sell", "pending", 10)], fills + 1)


def test_the_sweep_sends_the_way_out_whose_nudge_was_lost(connection: Connection, instrument: Instrument) -> None:
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    at_venue(connection, add).held_back = False
    settle(connection)
    Order.objects.filter(state="pending").update(updated_at="2025-01-01T00:00:00Z")
    recovery.sweep()
    settle(connection)
    recovery.sweep()
    assert (held(), followers()) == (0, [("sell", "filled", 10)])


# --- at the paper venue ------------------------------------------------------------------------------------------


def test_an_order_that_arrives_after_the_venue_was_asked_for_it_is_closed_again() -> None:
    connection, instrument = make_connection(faults={"timeout_before": 0}), make_instrument()
    enter(connection, instrument)
    Connection.objects.filter(pk=connection.pk).update(
        settings=connection.settings | {"faults": {"timeout_before": 1}}
    )
    connection.refresh_from_db()
    add, stop = enter(connection, instrument, stop="95")
    close(connection, instrument)
    recovery.look_up(add.pk)
    assert (reload(add)[0].state, held()) == ("canceled", 0)
    PaperBroker(connection).submit(execution.request(add, [stop]))
    sync.sync_connection(connection.pk)
    assert (reload(add)[0].state, held(), followers()) == ("filled", 10, [("sell", "pending", 10)])
    submit_all()
    sync.sync_connection(connection.pk)
    assert (held(), followers()) == (0, [("sell", "filled", 10)])
    assert not PaperOrder.objects.filter(state__in=["held", "working"]).exists()


def test_what_the_exit_took_along_is_not_closed_twice() -> None:
    connection, instrument = make_connection(faults={"timeout_after": 0}), make_instrument()
    enter(connection, instrument)
    connection.settings |= {"faults": {"timeout_after": 1}}
    connection.save()
    [add] = enter(connection, instrument)
    exit_ = close(connection, instrument)
    recovery.look_up(add.pk)
    assert [order.state for order in reload(add, exit_)] == ["filled", "filled"]
    assert (held(), followers()) == (0, [])


def test_a_report_that_was_recorded_before_closes_nothing_twice() -> None:
    connection, instrument = make_connection(), make_instrument()
    [entry] = enter(connection, instrument)
    close(connection, instrument)
    report = PaperBroker(connection).lookup(entry.client_order_id)
    assert report is not None
    reports.record(connection, report)
    assert (held(), followers()) == (0, [])


def test_the_way_out_is_sent_at_once(
    connection: Connection, instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[tuple[object, ...]] = []
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    close(connection, instrument)
    settle(connection)
    at_venue(connection, add).held_back = False
    monkeypatch.setattr(events, "nudge", lambda *call: nudged.append(call))
    settle(connection)
    out = Order.objects.exclude(after=None).get(role="exit")
    assert (task_names.SUBMIT, out.pk) in nudged


def test_a_close_that_is_called_off_leaves_what_filled_meanwhile(
    connection: Connection, instrument: Instrument
) -> None:
    """Who takes the close back no longer means to be flat."""
    hold(connection, instrument)
    add = add_in_doubt(connection, instrument)
    exit_ = close(connection, instrument)
    at_venue(connection, exit_).held_back = True
    at_venue(connection, add).held_back = False
    settle(connection)
    assert held() == 20
    services.cancel_order(order=reload(exit_)[0], by=None)
    cancelling.cancel(exit_.pk)
    settle(connection)
    assert reload(exit_)[0].state == "canceled"
    assert (held(), followers()) == (20, [])
