"""Comparing books, emptying an account and marking equity: when a process dies in the middle, or two meet."""

import pytest

from brokers import signals
from brokers.ledger import comparing, equity, erasing, reconcile
from brokers.models import Comparison, Connection, Desk, EquityMark, Fill, FillSum, Order
from brokers.venues.paper.models import PaperEvent
from market.models import Instrument
from tests.support.brokers import enter, make_connection, make_instrument

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def round_trip(connection: Connection, instrument: Instrument) -> None:
    enter(connection, instrument)
    enter(connection, instrument, side="sell")


def test_a_comparison_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """First of all: without an end of its own it would go on for ever, and so would every other test."""
    connection = make_connection()
    round_trip(connection, make_instrument())
    advance = reconcile.advance
    calls: list[bool] = []

    def count(*arguments: Connection, full: bool) -> reconcile.Progress:
        calls.append(full)
        assert len(calls) < 9, "it does not end"
        return advance(*arguments, full=full)

    monkeypatch.setattr(reconcile, "advance", count)
    assert reconcile.differences(connection, full=True) == []
    assert reconcile.differences(connection) == []
    assert calls == [True, False]


def test_a_crash_while_a_comparison_becomes_the_checkpoint_loses_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = make_connection()
    round_trip(connection, make_instrument())
    with monkeypatch.context() as patch:
        patch.setattr(type(Comparison.objects), "update_or_create", kill)
        with pytest.raises(Killed):
            reconcile.compare_all(connection)
    # The next task goes on behind what was compared, instead of from the first order on.
    reached = Comparison.objects.get(connection=connection)
    assert (reached.scope, reached.cursor > 0) == ("full", True)
    assert reconcile.advance(connection, full=True).complete
    assert Comparison.objects.get(connection=connection).scope == "current"


def test_an_account_that_was_emptied_meanwhile_gets_no_checkpoint_of_what_it_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = make_connection()
    enter(connection, make_instrument(), stop="90")
    sums = reconcile.compare_sums

    def compare_and_lose(account: Connection, *, full: bool) -> list[reconcile.Difference]:
        rows = sums(account, full=full)
        erasing.erase(account)
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "compare_sums", compare_and_lose)
        reconcile.compare_all(connection)
    assert not Comparison.objects.exists()
    assert reconcile.full_is_due(connection)


def test_a_crash_while_sums_are_written_anew_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    round_trip(connection, instrument)
    assert reconcile.compare_all(connection) == []
    before = FillSum.objects.values().get()
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "_keep_sums", kill)
        with pytest.raises(Killed):
            reconcile.compare_all(connection)
    assert FillSum.objects.values().get() == before


def test_the_second_of_two_comparisons_that_end_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    round_trip(connection, instrument)
    become = reconcile._Run._become_checkpoint

    def let_another_end_first(run: reconcile._Run) -> None:
        monkeypatch.setattr(reconcile._Run, "_become_checkpoint", become)
        reconcile.compare_all(connection)
        round_trip(connection, instrument)
        assert reconcile.differences(connection) == []
        become(run)

    monkeypatch.setattr(reconcile._Run, "_become_checkpoint", let_another_end_first)
    reconcile.advance(connection, full=True)
    kept = Comparison.objects.get(connection=connection)
    assert kept.cursor == PaperEvent.objects.latest("id").pk


def test_the_books_of_a_venue_out_there_stay_as_they_are() -> None:
    connection = make_connection()
    enter(connection, make_instrument())
    Connection.objects.filter(pk=connection.pk).update(venue="elsewhere")
    connection.refresh_from_db()
    with pytest.raises(LookupError, match="are not ours to empty"):
        erasing.erase(connection)
    assert (Order.objects.count(), Fill.objects.count()) == (1, 1)


def test_open_pages_learn_of_a_mark_that_they_can_read(request: pytest.FixtureRequest) -> None:
    connection = make_connection()
    seen: list[tuple[int, int]] = []

    def receive(connection_id: int, **_: object) -> None:
        seen.append((connection_id, EquityMark.objects.count()))

    signals.equity_marked.connect(receive, weak=False)
    request.addfinalizer(lambda: signals.equity_marked.disconnect(receive))
    equity.mark_equity(connection)
    assert seen == [(connection.pk, 1)]
    assert Desk.objects.get().state == "active"
