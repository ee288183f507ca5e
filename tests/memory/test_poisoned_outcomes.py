"""An outcome or an instrument that can't be handled keeps no other unresolved, and counts nowhere itself."""

import pytest
from django.db import connection as database

from algotrendy.isolation.models import RowFailure
from market.models import Instrument
from memory import outcomes, tasks
from memory.models import Outcome, Tally
from tests.memory.test_outcomes import bars, decide

pytestmark = pytest.mark.django_db


def open_outcome(instrument: Instrument, number: int) -> Outcome:
    return outcomes.open_for(decide(instrument, number=number), "long")


@pytest.fixture
def btc() -> Instrument:
    return Instrument.objects.create(symbol="BTCUSDT")


def works() -> set[str]:
    return set(RowFailure.objects.values_list("work", flat=True))


def test_an_outcome_that_cannot_be_settled_keeps_no_other_open(btc) -> None:
    odd, good = open_outcome(btc, 1), open_outcome(btc, 2)
    Outcome.objects.filter(pk=odd.pk).update(entry=0)  # a return over nothing
    bars(btc, (102, 100))
    assert outcomes.resolve(btc.pk) == 1
    assert (Outcome.objects.get(pk=good.pk).state, Outcome.objects.get(pk=odd.pk).state) == ("resolved", "open")
    failure = RowFailure.objects.get()
    assert (failure.work, failure.table, failure.key) == (outcomes.SETTLE, "memory.outcome", str(odd.pk))
    assert Tally.objects.get().cases == 1


def test_an_outcome_that_cannot_be_stored_keeps_no_other_from_it_and_is_counted_nowhere(btc, monkeypatch) -> None:
    odd, good = open_outcome(btc, 1), open_outcome(btc, 2)
    close = outcomes._close

    def incomplete(outcome, result, price, open_time):
        closed = close(outcome, result, price, open_time)
        if outcome.pk == odd.pk:
            outcome.result = ""  # which no resolved row may have
        return closed

    monkeypatch.setattr(outcomes, "_close", incomplete)
    bars(btc, (102, 100))
    assert outcomes.resolve(btc.pk) == 1
    assert (Outcome.objects.get(pk=good.pk).state, Outcome.objects.get(pk=odd.pk).state) == ("resolved", "open")
    assert works() == {outcomes.STORE}
    assert Tally.objects.get().cases == 1
    monkeypatch.undo()
    assert outcomes.resolve(btc.pk) == 1
    assert Tally.objects.get().cases == 2
    assert works() == set()


def test_an_instrument_that_cannot_be_handled_keeps_no_other_unresolved(btc, monkeypatch) -> None:
    eth = Instrument.objects.create(symbol="ETHUSDT")
    for number, instrument in enumerate((btc, eth), 1):
        open_outcome(instrument, number)
        bars(instrument, (102, 100))
    read = outcomes._bars

    def odd(due, quote):
        if quote.instrument_id == btc.pk:
            raise ValueError("odd candles")
        return read(due, quote)

    monkeypatch.setattr(outcomes, "_bars", odd)
    assert tasks.resolve_all() == 1
    assert Outcome.objects.get(instrument=eth).state == "resolved"
    assert RowFailure.objects.get().key == str(btc.pk)
    monkeypatch.undo()
    assert tasks.resolve_all() == 1
    assert works() == set()


def test_a_trade_that_cannot_be_linked_keeps_no_other_unlinked(btc, monkeypatch) -> None:
    linked = []

    def link(trade_id: int) -> int:
        if trade_id == 1:
            raise ValueError("odd")
        linked.append(trade_id)
        return 1

    monkeypatch.setattr(outcomes, "_unlinked_trades", lambda: [1, 2])
    monkeypatch.setattr(outcomes, "link_trade", link)
    tasks.resolve_all()
    assert linked == [2]
    assert works() == {outcomes.LINK}


def test_a_failure_leaves_the_transaction_of_the_rest_usable(btc, monkeypatch) -> None:
    open_outcome(btc, 1)
    bars(btc, (102, 100))

    def odd(done):
        with database.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    monkeypatch.setattr(outcomes, "_store", odd)
    assert outcomes.resolve(btc.pk) == 0
    assert works() == {outcomes.STORE}
