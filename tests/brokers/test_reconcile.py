"""Comparing books from a checkpoint: nothing that matters is passed over, and history costs nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers import sync
from brokers.contract import VenueUnavailable
from brokers.ledger import erasing, reconcile
from brokers.ledger.reported import Reported
from brokers.models import Comparison, Connection, Fill, FillSum, Order, Position
from brokers.venues import registry
from brokers.venues.paper import broker as paper_broker
from brokers.venues.paper.models import PaperExecution, PaperOrder
from dashboard import tasks
from dashboard.models import Reconciliation
from market.models import Instrument
from tests.support import fake_venue
from tests.support.brokers import enter, make_connection, make_instrument

pytestmark = pytest.mark.django_db(transaction=True)

OLD = timedelta(hours=1)


def checkpoint(connection: Connection) -> Comparison:
    return Comparison.objects.get(connection=connection, scope="current")


def kinds(rows: list[reconcile.Difference]) -> set[tuple[str, str]]:
    return {(row.kind, row.key) for row in rows}


def trade(connection: Connection, instrument: Instrument, times: int = 1) -> None:
    """Go long and flat, so that all of it is over."""
    for _ in range(times):
        enter(connection, instrument)
        enter(connection, instrument, side="sell")
    Order.objects.update(created_at=timezone.now() - OLD)
    sync.sync_connection(connection.pk)


def test_a_second_comparison_asks_for_what_changed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument, times=3)
    assert reconcile.differences(connection) == []
    asked: list[int] = []
    updates = paper_broker.PaperBroker.updates

    def counted(self: paper_broker.PaperBroker, cursor: int) -> object:
        answer = updates(self, cursor)
        asked.extend([cursor] * len(answer.orders))
        return answer

    monkeypatch.setattr(paper_broker.PaperBroker, "updates", counted)
    assert reconcile.differences(connection) == []
    assert asked == []
    enter(connection, instrument)
    assert reconcile.differences(connection) == []
    assert len(asked) == 1


def test_the_queries_of_a_comparison_do_not_grow_with_history() -> None:
    connection, instrument = make_connection(), make_instrument()
    counts = []
    for times in (1, 30):
        trade(connection, instrument, times)
        reconcile.differences(connection)
        with CaptureQueriesContext(
            database,
        ) as queries:
            assert reconcile.differences(connection) == []
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_difference_in_an_open_order_from_before_the_checkpoint_is_seen() -> None:
    connection, instrument = make_connection(), make_instrument()
    _, stop = enter(connection, instrument, stop="90")
    Order.objects.update(created_at=timezone.now() - OLD)
    assert reconcile.differences(connection) == []
    PaperOrder.objects.filter(client_order_id=stop.client_order_id).update(state="canceled", reason="lost")
    assert kinds(reconcile.differences(connection)) == {("order", stop.client_order_id)}


def test_an_order_that_was_open_at_the_checkpoint_and_ended_here_alone_is_seen() -> None:
    connection, instrument = make_connection(), make_instrument()
    _, stop = enter(connection, instrument, stop="90")
    Order.objects.update(created_at=timezone.now() - OLD)
    assert reconcile.differences(connection) == []
    Order.objects.filter(pk=stop.pk).update(state="canceled")
    assert kinds(reconcile.differences(connection)) == {("order", stop.client_order_id)}


def test_a_difference_is_seen_again_until_it_is_gone() -> None:
    connection, instrument = make_connection(), make_instrument()
    entry, *_ = enter(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(created_at=timezone.now() - OLD)
    fill = Fill.objects.get()
    Fill.objects.filter(pk=fill.pk).update(price=1)
    for _ in range(3):
        assert kinds(reconcile.differences(connection)) == {("fill", fill.venue_trade_id)}
        trade(connection, make_instrument("ETHUSDT"))
    assert checkpoint(connection).differing == [entry.client_order_id]
    Fill.objects.filter(pk=fill.pk).update(price=fill.price)
    assert reconcile.differences(connection) == []
    assert checkpoint(connection).differing == []


def test_while_too_many_orders_differ_the_checkpoint_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MOST_DIFFERING", 2)
    monkeypatch.setattr(paper_broker, "EVENTS_AT_ONCE", 1)
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    assert reconcile.differences(connection) == []
    trade(connection, instrument, times=3)
    fills = list(Fill.objects.order_by("id"))[2:]
    for fill in fills:
        Fill.objects.filter(pk=fill.pk).update(price=1)
    before = checkpoint(connection).order_id
    assert len(reconcile.differences(connection)) == 2
    assert checkpoint(connection).order_id == before
    for fill in fills:
        Fill.objects.filter(pk=fill.pk).update(price=fill.price)
    reconcile.differences(connection)
    assert reconcile.differences(connection) == []
    assert checkpoint(connection).order_id > before


def test_an_order_of_ours_that_the_venue_never_had_is_seen_however_young() -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    assert reconcile.differences(connection) == []
    entry, *_ = enter(connection, instrument)
    Order.objects.filter(pk=entry.pk).update(client_order_id="nobodys")
    rows = kinds(reconcile.differences(connection))
    assert rows == {("order", "nobodys"), ("external", entry.client_order_id)}
    assert kinds(reconcile.differences(connection)) == rows


def test_a_changed_order_from_before_the_checkpoint_is_seen_by_the_comparison_of_all() -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    assert reconcile.differences(connection) == []
    Order.objects.filter(side="buy").update(client_order_id="changed")
    assert reconcile.differences(connection) == []
    assert ("order", "changed") in kinds(reconcile.compare_all(connection))
    assert ("order", "changed") in kinds(reconcile.differences(connection))


def test_a_fill_that_vanishes_is_a_position_that_does_not_add_up() -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    assert reconcile.differences(connection) == []
    enter(connection, instrument)
    newest = Fill.objects.order_by("-id")[0]
    Fill.objects.filter(pk=newest.pk).update(quantity=Decimal(3))
    assert ("position", "BTCUSDT") in kinds(reconcile.differences(connection))
    assert FillSum.objects.get().fill_id < newest.pk


def test_positions_are_summed_from_the_checkpoint_and_from_the_first_fill_alike() -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    enter(connection, instrument, quantity="7")
    assert reconcile.differences(connection) == []
    kept = FillSum.objects.get()
    assert kept.quantity == 7
    assert kept.fill_id == Fill.objects.order_by("-id")[0].pk
    enter(connection, instrument, quantity="2")
    assert reconcile.differences(connection) == []
    assert FillSum.objects.get().quantity == Position.objects.get().quantity == 9
    Fill.objects.filter(pk=kept.fill_id).update(quantity=8)
    assert ("position", "BTCUSDT") in kinds(reconcile.compare_all(connection))


def test_a_comparison_of_all_goes_on_where_a_task_left_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_broker, "EVENTS_AT_ONCE", 2)
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument, times=4)
    cursors = []
    while not (progress := reconcile.advance(connection, full=True, steps=1)).complete:
        cursors.append(Comparison.objects.get(scope="full").cursor)
    assert len(cursors) > 3
    assert cursors == sorted(cursors)
    assert progress.differences == []
    assert not Comparison.objects.filter(scope="full").exists()
    assert checkpoint(connection).verified_at is not None


def test_the_task_takes_turns_and_goes_on_by_a_nudge(monkeypatch: pytest.MonkeyPatch) -> None:
    nudged: list[tuple[object, ...]] = []
    monkeypatch.setattr(tasks, "nudge", lambda *task: nudged.append(task))
    monkeypatch.setattr(reconcile.advance, "__kwdefaults__", {"full": False, "steps": 1})
    monkeypatch.setattr(paper_broker, "EVENTS_AT_ONCE", 2)
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument, times=2)
    tasks.reconcile()
    assert nudged == [("dashboard.reconcile", connection.pk)]
    assert not Reconciliation.objects.exists()
    while nudged:
        nudged.clear()
        tasks.reconcile(connection.pk)
    result = Reconciliation.objects.get()
    assert (result.differences, result.error, result.verified_at is not None) == ([], "", True)


def test_all_history_is_compared_once_a_day() -> None:
    connection = make_connection()
    assert reconcile.full_is_due(connection)
    with time_machine.travel(datetime(2026, 1, 1, 12, 0, tzinfo=UTC), tick=False):
        reconcile.compare_all(connection)
        assert not reconcile.full_is_due(connection)
    assert not reconcile.full_is_due(connection, datetime(2026, 1, 2, 2, 59, tzinfo=UTC))
    assert reconcile.full_is_due(connection, datetime(2026, 1, 2, 3, 1, tzinfo=UTC))


def test_a_venue_that_goes_away_in_the_middle_leaves_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    reconcile.differences(connection)
    before = checkpoint(connection).cursor
    trade(connection, instrument)

    def away(*_: object) -> None:
        raise VenueUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(paper_broker.PaperBroker, "updates", away)
        with pytest.raises(VenueUnavailable):
            reconcile.differences(connection)
    assert checkpoint(connection).cursor == before
    assert reconcile.differences(connection) == []


def test_an_emptied_account_is_compared_anew() -> None:
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    reconcile.differences(connection)
    erasing.erase(connection)
    assert not Comparison.objects.exists()
    enter(connection, instrument)
    assert reconcile.differences(connection) == []


def test_orders_of_others_are_named_and_counted_and_never_hold_the_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile, "NAMED_EXTERNAL", 1)
    connection, instrument = make_connection(), make_instrument()
    trade(connection, instrument)
    ids = set(Order.objects.values_list("client_order_id", flat=True))
    Fill.objects.all().delete()
    Position.objects.all().delete()
    Order.objects.all().delete()
    for _ in range(2):
        rows = reconcile.differences(connection)
        assert {row.kind for row in rows} == {"external"}
        assert {row.key for row in rows} <= ids | {"1 more"}
        assert len(rows) == 2
    cursor = checkpoint(connection).cursor
    trade(connection, instrument)
    reconcile.differences(connection)
    assert checkpoint(connection).cursor > cursor


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection at a venue out there."""
    monkeypatch.setattr(registry, "VENUES", {fake_venue.NAME: fake_venue.VENUE})
    yield Connection.objects.create(name="second", venue=fake_venue.NAME, mode=Connection.Mode.LIVE)
    fake_venue.ACCOUNTS.clear()


def test_a_venue_out_there_is_compared_from_a_checkpoint_too(remote: Connection) -> None:
    instrument = make_instrument(fake_venue.SYMBOL)
    _, stop = enter(remote, instrument, stop="95")
    fake_venue.account_of(remote).settle()
    sync.sync_connection(remote.pk)
    assert reconcile.differences(remote) == []
    fake_venue.account_of(remote).orders[stop.client_order_id].state = "rejected"
    assert kinds(reconcile.differences(remote)) == {("order", stop.client_order_id)}


def test_an_execution_that_never_was_an_event_is_seen_while_its_order_is_open() -> None:
    connection, instrument = make_connection(), make_instrument()
    _, target = enter(connection, instrument, target="120")
    assert reconcile.differences(connection) == []
    paper = PaperOrder.objects.get(client_order_id=target.client_order_id)
    PaperOrder.objects.filter(pk=paper.pk).update(filled_quantity=1)
    PaperExecution.objects.create(
        account=paper.account, order=paper, trade_id="quiet", quantity=1, price=120, fee=0,
        executed_at=timezone.now(),
    )  # fmt: skip
    assert ("fill", "quiet") in kinds(reconcile.differences(connection))


def test_reported_orders_are_remembered_by_a_bit_each() -> None:
    reported = Reported(after=1003)
    for order_id in (1004, 1100, 5):
        reported.add(order_id)
    again = Reported(1003, bytes(reported.bits))
    assert [order_id for order_id in range(1003, 1200) if order_id in again] == [1004, 1100]
    again.begin_after(1090)
    assert 1100 in again
    assert 1004 not in again
    assert len(again.bits) == 2
