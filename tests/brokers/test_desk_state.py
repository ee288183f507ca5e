"""ACTIVE, REDUCING, HALTED; equity marks; the day that lost too much; positions and commands."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from algotrendy import events
from brokers import selectors, services, signals, sync, task_names, tasks
from brokers.ledger import equity, reconcile
from brokers.models import Connection, Desk, EquityMark, Fill, Order, Position, Trade
from brokers.orders import cancelling, execution, recovery
from brokers.venues.paper.models import PaperExecution, PaperHolding
from market.models import Feed
from market.services import FeedBusy, assign_feed
from market.signals import candle_closed
from tests.support.brokers import (
    START,
    add_candle,
    enter,
    let_match,
    make_connection,
    make_instrument,
    plan,
    plan_exit,
    reload,
    set_price,
)

pytestmark = pytest.mark.django_db(transaction=True)


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def nudged(monkeypatch) -> list[tuple[str, int]]:
    """What was nudged, instead of nudging it."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(events, "nudge", lambda task, row: seen.append((task, row)))
    monkeypatch.setattr("brokers.receivers.nudge", lambda task, row: seen.append((task, row)))
    return seen


@pytest.fixture
def worker(monkeypatch) -> None:
    """A worker so fast that every nudge is done at once."""
    by_name = {
        task_names.SUBMIT: execution.submit,
        task_names.CANCEL: cancelling.cancel,
        task_names.LOOK_UP: recovery.look_up,
        task_names.SYNC: sync.sync_connection,
        task_names.MARK: tasks.mark_equity,
        task_names.MATCH: tasks.match_orders,
    }
    monkeypatch.setattr(events, "nudge", lambda task, row: by_name[task](row))


def test_a_change_of_state_says_who_why_and_until_when():
    ann = User.objects.create(username="ann")
    seen = []
    signals.desk_changed.connect(lambda state, **_: seen.append(state), weak=False, dispatch_uid="test")
    until = datetime(2030, 1, 1, tzinfo=UTC)
    services.set_desk_state(state="reducing", by=ann, reason="lunch", until=until)
    signals.desk_changed.disconnect(dispatch_uid="test")
    desk = Desk.objects.get()
    assert (desk.state, desk.changed_by, desk.reason, desk.until) == ("reducing", ann, "lunch", until)
    assert seen == ["reducing"]


def test_halt_withdraws_what_is_left_of_entries_and_keeps_stops(worker):
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, stop = enter(connection, instrument, stop="95")
    services.set_desk_state(state="halted", by=None, reason="stop")
    entry, stop = reload(entry, stop)
    assert (entry.state, entry.filled_quantity, stop.state, stop.quantity) == ("canceled", 4, "accepted", 4)


def test_equity_is_cash_and_positions_at_the_last_price():
    connection, instrument = make_connection(equity="1000", fee_bps=10), make_instrument()
    enter(connection, instrument, quantity="0.5")
    set_price(instrument, "120", START)
    worth = selectors.equity(connection)
    assert (worth.unrealised_pnl, worth.equity) == (10, Decimal("1009.95"))
    assert worth.cash == worth.equity - 60
    assert (worth.day_start_equity, worth.day_pnl) == (1000, Decimal("9.95"))


def test_the_day_begins_with_the_last_mark_before_midnight_utc():
    connection = make_connection(equity="1000")
    for at, value in (("2025-03-02T23:59:50", 900), ("2025-03-03T00:00:10", 800)):
        EquityMark.objects.create(connection=connection, at=f"{at}+00:00", equity=value, unrealised_pnl=0)
    noon = datetime(2025, 3, 3, 12, tzinfo=UTC)
    assert selectors.account(connection, noon).day_start_equity == 900


def test_a_state_is_over_when_its_time_is_also_before_anything_ends_it():
    until = datetime(2030, 1, 1, tzinfo=UTC)
    desk = Desk(state="reducing", until=until)
    moments = [until - timedelta(seconds=1), until, until + timedelta(seconds=1)]
    assert [selectors.effective_state(desk, at) for at in moments] == ["reducing", "active", "active"]


def test_comparing_books_of_no_account_is_an_error_and_books_that_agree_are_read_once(monkeypatch):
    with pytest.raises(CommandError, match="There is no connection 'nope'"):
        run("reconcile", "nope")
    make_connection()
    looks = []
    differences = reconcile.differences
    monkeypatch.setattr(reconcile, "differences", lambda *a, **k: looks.append(1) or differences(*a, **k))
    assert "equals" in run("reconcile")
    assert len(looks) == 1


def test_a_day_that_lost_too_much_lets_only_exits_through_until_midnight():
    with time_machine.travel(datetime(2025, 3, 3, 12, tzinfo=UTC), tick=False):
        connection, instrument = make_connection(), make_instrument()
        Desk.objects.create(max_order_pct=90, max_position_pct=90)
        enter(connection, instrument, quantity="800")
        set_price(instrument, "93", START)
        equity.mark_equity(connection)
        desk = Desk.objects.get()
        assert (desk.state, desk.until) == ("reducing", datetime(2025, 3, 4, tzinfo=UTC))
        assert "5600.00 USDT" in desk.reason
        assert enter(connection, instrument)[0].state == "denied"
    with time_machine.travel(datetime(2025, 3, 4, 0, 0, 1, tzinfo=UTC), tick=False):
        recovery.sweep()
        assert Desk.objects.get().state == "active"


def test_a_loss_never_weakens_a_halt():
    connection, instrument = make_connection(), make_instrument()
    Desk.objects.create(max_order_pct=90, max_position_pct=90)
    enter(connection, instrument, quantity="800")
    services.set_desk_state(state="halted", by=None, reason="stop")
    set_price(instrument, "90", START)
    equity.mark_equity(connection)
    assert Desk.objects.get().state == "halted"


def test_marks_are_written_for_connections_that_are_on():
    on, off = make_connection("on"), make_connection("off")
    Connection.objects.filter(pk=off.pk).update(enabled=False)
    tasks.mark_equity()
    assert list(EquityMark.objects.values_list("connection", flat=True)) == [on.pk]


def test_a_stop_reached_at_the_venue_closes_the_trade_here(worker):
    connection, instrument = make_connection(), make_instrument()
    closed = []
    signals.trade_closed.connect(lambda trade_id, **_: closed.append(trade_id), weak=False, dispatch_uid="test")
    _, stop, target = enter(connection, instrument, stop="95", target="110")
    add_candle(instrument, 0, "99", "99", "94", "95")
    tasks.match_orders(instrument.pk)
    signals.trade_closed.disconnect(dispatch_uid="test")
    trade = Trade.objects.get()
    assert (trade.state, trade.exit_price, trade.pnl) == ("closed", 95, -50)
    assert trade.closed_at == START + timedelta(seconds=60)
    assert [order.state for order in reload(stop, target)] == ["filled", "canceled"]
    assert closed == [trade.pk]
    assert EquityMark.objects.get().equity == 99_950


def test_a_fill_across_zero_closes_one_trade_and_opens_the_next():
    connection, instrument = make_connection(fee_bps=10), make_instrument()
    enter(connection, instrument, quantity="10")
    entry, *_ = enter(connection, instrument, side="sell", quantity="15")
    first, second = Trade.objects.order_by("id")
    assert (first.state, first.exit_quantity, first.fees) == ("closed", 10, 2)
    assert (second.state, second.side, second.quantity, second.fees) == ("open", "short", 5, Decimal("0.5"))
    assert (entry.filled_quantity, entry.fees, Position.objects.get().quantity) == (15, Decimal("1.5"), -5)
    assert reconcile.differences(connection) == []


def test_a_venue_that_fills_too_much_is_shown_and_not_believed():
    connection, instrument = make_connection(), make_instrument()
    entry, *_ = enter(connection, instrument, quantity="1")
    paper = PaperExecution.objects.get()
    PaperExecution.objects.create(
        account=paper.account, order=paper.order, trade_id="x", quantity=9, price=1, fee=0, executed_at=START
    )
    sync.sync_connection(connection.pk)
    connection.refresh_from_db()
    assert connection.health == "error"
    assert "was ordered" in connection.last_error
    sync.sync_connection(connection.pk)
    [entry] = reload(entry)
    assert (entry.state, "was ordered" in entry.reason) == ("needs_review", True)
    assert (reload(entry)[0].filled_quantity, Fill.objects.count()) == (1, 1)
    assert {found.kind for found in reconcile.differences(connection)} == {"fill", "order"}


def test_reconcile_finds_what_differs_and_says_it(capsys):
    connection, instrument = make_connection(), make_instrument()
    other = make_instrument("ETHUSDT")
    enter(connection, instrument)
    assert "equals" in run("reconcile")
    PaperHolding.objects.filter(instrument=instrument).update(quantity=7)
    PaperHolding.objects.create(account=PaperHolding.objects.get().account, instrument=other, quantity=3)
    Order.objects.filter(role="entry").update(client_order_id="changed")
    with pytest.raises(SystemExit) as exit_:
        run("reconcile", "--full")
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", "--json", stdout=out)
    found = json.loads(out.getvalue())["differences"]
    assert exit_.value.code == 1
    assert {(row["kind"], row["key"]) for row in found} >= {
        ("position", "BTCUSDT"),
        ("position", "ETHUSDT"),
        ("order", "changed"),
    }
    assert "external" in {row["kind"] for row in found}


def test_a_venue_that_can_not_be_read_is_unhealthy_and_reconcile_says_so():
    connection = make_connection(faults={"unavailable": 99})
    assert not sync.sync_connection(connection.pk)
    connection.refresh_from_db()
    assert (connection.health, "could not be reached" in connection.last_error) == ("error", True)
    with pytest.raises(CommandError, match="could not be read"):
        run("reconcile")


def test_a_candle_nudges_the_paper_venue_only_when_an_order_waits_for_it(nudged):
    connection, instrument = make_connection(), make_instrument()
    candle_closed.send(sender=None, instrument_id=instrument.pk, timeframe=60, open_time=START)
    enter(connection, instrument, stop="95")
    nudged.clear()
    candle_closed.send(sender=None, instrument_id=instrument.pk, timeframe=60, open_time=START)
    assert nudged == [(task_names.MATCH, instrument.pk)]


def test_a_queue_that_can_not_be_reached_breaks_nothing(settings, monkeypatch):
    monkeypatch.setattr(events.current_app, "send_task", _unreachable)
    connection, instrument = make_connection(), make_instrument()
    orders = plan(connection, instrument, stop="95")
    services.send(orders)
    execution.submit(orders[0].pk)
    candle_closed.send(sender=None, instrument_id=instrument.pk, timeframe=60, open_time=START)
    assert reload(*orders)[0].state == "filled"


def _unreachable(*_: object, **__: object) -> None:
    raise ConnectionRefusedError


def test_a_feed_can_not_switch_under_a_position_and_the_text_says_what_to_do(worker):
    connection, instrument = make_connection(), make_instrument()
    feed = Feed.objects.create(name="other", driver="simulator")
    enter(connection, instrument, stop="95")
    with pytest.raises(FeedBusy, match=r"BTCUSDT has an open position.*mem close BTCUSDT"):
        assign_feed(feed=feed, instruments=[instrument])
    assert "closed at 100" in run("close", "BTCUSDT")
    assign_feed(feed=feed, instruments=[instrument])


def test_send_nudges_the_entry_only(nudged):
    connection, instrument = make_connection(), make_instrument()
    exit_ = plan_exit(connection, instrument)
    entry, *legs = plan(connection, instrument, stop="95", after=exit_)
    services.send([exit_, entry, *legs])
    assert nudged == [(task_names.SUBMIT, exit_.pk)]


def test_the_follower_is_nudged_when_its_exit_has_filled(nudged):
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    exit_ = plan_exit(connection, instrument)
    [entry] = plan(connection, instrument, side="sell", after=exit_)
    nudged.clear()
    execution.submit(exit_.pk)
    assert (task_names.SUBMIT, entry.pk) in nudged


def test_close_all_closes_everything_and_needs_a_choice(worker):
    connection = make_connection()
    for name in ("BTCUSDT", "ETHUSDT"):
        enter(connection, make_instrument(name), stop="95", target="110")
    out = run("close", "--all")
    assert out.count("closed at 100") == 2
    assert not selectors.open_positions().exists()
    assert "Nothing is open" in run("close", "--all")
    for arguments in ([], ["BTCUSDT", "--all"], ["NOPE"]):
        with pytest.raises(CommandError):
            run("close", *arguments)


def test_a_halted_desk_closes_from_the_command_line_only_with_exits_allowed(worker, capsys):
    enter(make_connection(), make_instrument(), stop="95")
    services.set_desk_state(state="halted", by=None, reason="fire")
    with pytest.raises(SystemExit) as exit_:
        run("close", "BTCUSDT")
    assert exit_.value.code == 1
    assert "BTCUSDT: not closed: the desk is halted (fire)" in capsys.readouterr().err
    assert (Order.objects.filter(role="exit").count(), Desk.objects.get().state) == (0, "halted")
    assert "closed at 100" in run("close", "--all", "--allow-exits")
    assert Desk.objects.get().state == "reducing"


def test_one_position_that_can_not_be_closed_keeps_no_other_from_it(worker, capsys):
    for name, connection in (("BTCUSDT", make_connection("off")), ("ETHUSDT", make_connection("on"))):
        enter(connection, make_instrument(name))
    Connection.objects.filter(name="off").update(enabled=False)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("close", "--all", stdout=out)
    assert "ETHUSDT: closed at 100" in out.getvalue()
    assert "BTCUSDT: not closed: connection off is switched off" in capsys.readouterr().err


def test_close_withdraws_an_entry_where_nothing_is_held_yet(worker):
    [entry] = plan(make_connection(), make_instrument())
    assert "Nothing is open" in run("close", "BTCUSDT")
    assert reload(entry)[0].state == "canceled"


def test_close_reports_what_it_could_not_close(nudged, monkeypatch):
    monkeypatch.setattr("brokers.management.commands.close.WAIT_SECONDS", 0.2)
    enter(make_connection(), make_instrument())
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("close", "BTCUSDT", stdout=out)
    assert "10 is still held" in out.getvalue()
    assert "is the desk running?" in out.getvalue()


def test_halt_and_resume_from_the_command_line():
    assert "halted" in run("halt", "--reason", "fire")
    assert Desk.objects.get().reason == "fire"
    assert "it was halted (fire)" in run("resume")
    assert "already" in run("resume")


def test_the_projected_position_counts_what_is_on_its_way():
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument, quantity="2", stop="95")
    assert selectors.account(connection).projected(instrument.pk) == 2
    plan(connection, instrument, quantity="3")
    assert selectors.account(connection).projected(instrument.pk) == 5
    plan_exit(connection, instrument, quantity="9")  # withdraws the 3, closes no more than the 2
    assert selectors.account(connection).projected(instrument.pk) == 0


def test_ids_of_the_same_plan_are_the_same_and_of_another_desk_are_not():
    from uuid import UUID

    from brokers.orders.ids import client_order_id

    one = client_order_id(UUID(int=1), "d1", "entry")
    assert one == client_order_id(UUID(int=1), "d1", "entry")
    others = {
        client_order_id(UUID(int=d), r, leg) for d in (1, 2) for r in ("d1", "d2") for leg in ("entry", "stop")
    }
    assert len(others) == 8
    assert all(len(text) == 18 and text.isalnum() and text == text.lower() for text in others)


def test_matching_and_syncing_carry_a_partial_entry_to_its_end():
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")
    entry, *_ = enter(connection, instrument)
    assert entry.state == "partially_filled"
    add_candle(instrument, 0, "101", "101", "101", "101")
    let_match(connection, instrument)
    [entry] = reload(entry)
    assert (entry.state, entry.average_price) == ("filled", Decimal("100.6"))
