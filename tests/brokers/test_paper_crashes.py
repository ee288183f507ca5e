"""The paper venue's books change whole, and one writer of an account at a time."""

from decimal import Decimal

import pytest
from django.db import OperationalError, transaction

from brokers.contract import DuplicateClientOrderId, OrderRejected, OrderRequest
from brokers.models import Connection
from brokers.venues.paper import book, broker
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperAccount, PaperEvent, PaperExecution, PaperHolding, PaperOrder
from tests.support.brokers import add_candle, make_connection, make_instrument
from tests.support.locks import held_elsewhere, impatient
from tests.support.threads import after_statement

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def request(client_order_id: str = "a") -> OrderRequest:
    return OrderRequest(client_order_id, "BTCUSDT", "buy", "market", Decimal(10))


def rows() -> list[dict[str, object]]:
    tables = (PaperAccount, PaperOrder, PaperExecution, PaperHolding, PaperEvent)
    return [row for table in tables for row in table.objects.order_by("pk").values()]


@pytest.fixture
def account() -> Connection:
    connection, instrument = make_connection(), make_instrument()
    add_candle(instrument, -1, "100", "100", "100", "100", volume="16")  # room for 4 of 10
    with transaction.atomic():
        book.locked_account(connection)
    return connection


def test_a_crash_while_an_order_is_taken_in_leaves_the_books(account: Connection, monkeypatch) -> None:
    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(broker, "venue_order", kill)
        with pytest.raises(Killed):
            PaperBroker(account).submit(request())
    assert rows() == before


def test_a_crash_while_an_order_is_cancelled_leaves_the_books(account: Connection, monkeypatch) -> None:
    venue = PaperBroker(account)
    assert venue.submit(request()).state == "partially_filled"
    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(broker, "venue_order", kill)
        with pytest.raises(Killed):
            venue.cancel("a")
    assert rows() == before
    assert venue.cancel("a").state == "canceled"


def test_an_id_is_taken_once_and_what_is_not_there_is_not_cancelled(account: Connection) -> None:
    venue = PaperBroker(account)
    venue.submit(request())
    before = rows()
    with pytest.raises(DuplicateClientOrderId):
        venue.submit(request())
    with pytest.raises(OrderRejected, match="there is no order b"):
        venue.cancel("b")
    assert rows() == before


def test_two_writers_of_an_account_wait_for_one_another(account: Connection) -> None:
    with (
        held_elsewhere(lambda: book.locked_account(account)),
        impatient(),
        transaction.atomic(),
        pytest.raises(OperationalError),
    ):
        book.locked_account(account)


def test_two_calls_never_count_one_injected_fault_together(account: Connection) -> None:
    Connection.objects.update(settings=account.settings | {"faults": {"unavailable": 1}})
    account.refresh_from_db()
    waited: list[bool] = []

    def look() -> None:
        try:
            with impatient(), transaction.atomic():
                book.locked_account(account)
        except OperationalError:
            waited.append(True)

    with after_statement("FOR NO KEY UPDATE", look) as seen:
        assert PaperBroker(account)._fault("unavailable")
    assert (len(seen), waited) == (1, [True])
    assert not PaperBroker(account)._fault("unavailable")


def test_what_has_ended_at_the_venue_is_not_cancelled_again(account: Connection) -> None:
    venue = PaperBroker(account)
    venue.submit(request())
    venue.cancel("a")
    before = rows()
    assert venue.cancel("a").state == "canceled"
    assert rows() == before
