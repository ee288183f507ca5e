"""The paper venue passes the cases that every venue must pass."""

import pytest

from brokers.contract import Broker
from brokers.models import Connection
from brokers.venues.paper import matching
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperAccount
from market.models import Candle, Instrument
from tests.support.broker_contract import BrokerContract
from tests.support.brokers import add_candle, make_connection, make_instrument


@pytest.mark.django_db
class TestPaper(BrokerContract):
    connection: Connection

    def broker(self) -> Broker:
        make_instrument()
        self.connection = make_connection()
        return PaperBroker(self.connection)

    def move_market(self, price: str, volume: str = "1000000") -> None:
        instrument = Instrument.objects.get()
        add_candle(instrument, Candle.objects.count(), price, price, price, price, volume)
        matching.match_instrument(instrument.pk)

    def lose_answers(self, *, arrives: bool) -> None:
        self._fail("timeout_after" if arrives else "timeout_before")

    def go_dark(self) -> None:
        self._fail("unavailable")

    def _fail(self, name: str) -> None:
        PaperAccount.objects.update(faults={})
        self.connection.settings["faults"] = {name: 1}
