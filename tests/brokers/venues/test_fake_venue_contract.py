"""The cases that every venue must pass, held against one that works quite unlike the paper venue."""

from decimal import Decimal

import pytest

from brokers.contract import Broker, DuplicateClientOrderId, VenueOrder
from brokers.models import Connection
from tests.support.broker_contract import BrokerContract, bracket, filled, request
from tests.support.fake_venue import ACCOUNTS, Account, FakeBroker, account_of


class TestFakeVenue(BrokerContract):
    account: Account
    executes_in_submit = False

    def broker(self) -> Broker:
        connection = Connection(pk=1)
        ACCOUNTS.pop(connection.pk, None)
        self.account = account_of(connection)
        return FakeBroker(connection)

    def settle(self) -> None:
        self.account.settle()

    def move_market(self, price: str, volume: str = "1000000") -> None:
        self.account.move(Decimal(price), Decimal(volume))

    def lose_answers(self, *, arrives: bool) -> None:
        self.account.lost_answer = "after" if arrives else "before"

    def go_dark(self) -> None:
        self.account.dark = True

    def test_02_a_client_id_is_taken_for_ever(self) -> None:
        """It can't be shown: the venue forgets the ids of what is over, and says so."""
        broker, asked = self.broker(), request(type="limit", limit_price=Decimal(95))
        assert not broker.idempotent_client_ids
        broker.submit(asked)
        with pytest.raises(DuplicateClientOrderId):
            broker.submit(asked)
        broker.cancel(asked.client_order_id)
        assert broker.submit(asked).state == "accepted"

    def test_14_of_stop_and_target_one_cancels_the_other(self) -> None:
        """It can't be shown: the venue has no brackets. The leg that stays is cancelled by whoever placed it."""
        broker, (asked, stop, target) = self.broker(), bracket()
        assert not broker.native_brackets
        self.place(broker, asked)
        self.move_market("94")
        assert _states(broker, stop.client_order_id, target.client_order_id) == ["filled", "accepted"]
        assert broker.positions() == ()
        assert broker.cancel(target.client_order_id).state == "canceled"

    def test_15_legs_follow_the_filled_quantity(self) -> None:
        """Shown for the leg that is reached; the other one stays, for want of brackets."""
        broker, (asked, stop, target) = (
            self.broker(),
            bracket(quantity="10", type="limit", limit_price=Decimal(98)),
        )
        broker.submit(asked)
        self.move_market("97", volume="16")
        broker.cancel(asked.client_order_id)
        self.move_market("111")
        reached: VenueOrder | None = broker.lookup(target.client_order_id)
        assert reached is not None
        assert (reached.state, filled(reached)) == ("filled", 4)
        assert _states(broker, stop.client_order_id) == ["accepted"]
        assert broker.positions() == ()


def _states(broker: Broker, *client_ids: str) -> list[str]:
    orders = (broker.lookup(client_id) for client_id in client_ids)
    return [order.state for order in orders if order]
