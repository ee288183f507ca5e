"""What every venue must do: numbered acceptance cases behind the broker contract.

A venue's test module subclasses `BrokerContract`, says how to make its adapter and how to move its market, and
inherits the cases. A case that a venue can't show is overridden there with the reason, never dropped silently.
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from itertools import count

import pytest

from brokers.contract import (
    Broker,
    DuplicateClientOrderId,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
    VenueOrder,
    VenueUnavailable,
)

_ids = count(1)


def request(**changes: object) -> OrderRequest:
    """A market order to buy 2 BTCUSDT, with a new id."""
    values = {
        "client_order_id": f"case{next(_ids):014d}",
        "symbol": "BTCUSDT",
        "side": "buy",
        "type": "market",
        "quantity": Decimal(2),
    }
    return OrderRequest(**(values | changes))


def filled(order: VenueOrder) -> Decimal:
    return sum((execution.quantity for execution in order.executions), Decimal(0))


class BrokerContract(ABC):
    """The cases. The market starts at 100 with volume enough for any order here."""

    #: Whether the answer to a market order holds its executions already.
    executes_in_submit = True

    @abstractmethod
    def broker(self) -> Broker:
        """A new account that trades BTCUSDT."""

    @abstractmethod
    def move_market(self, price: str, volume: str = "1000000") -> None:
        """Let the market move to `price`, and the venue match what it reaches."""

    @abstractmethod
    def lose_answers(self, *, arrives: bool) -> None:
        """Let the next submit time out, with or without the order having arrived."""

    @abstractmethod
    def go_dark(self) -> None:
        """Let the next read fail."""

    def settle(self) -> None:  # noqa: B027 - optional: most venues have nothing to do
        """Let the venue finish what it has accepted. Nothing to do where `submit` itself executes."""

    def place(self, broker: Broker, asked: OrderRequest) -> VenueOrder:
        """Submit an order, and return what it is once the venue has got to it."""
        answer = broker.submit(asked)
        if not self.executes_in_submit:
            self.settle()
            later = broker.lookup(asked.client_order_id)
            assert later is not None
            return later
        return answer

    def test_01_a_market_order_fills_and_its_executions_say_how(self) -> None:
        asked = request()
        report = self.place(self.broker(), asked)
        assert (report.client_order_id, report.state, filled(report)) == (asked.client_order_id, "filled", 2)
        assert report.venue_order_id
        execution = report.executions[0]
        assert (execution.symbol, execution.side, execution.client_order_id) == (
            "BTCUSDT",
            "buy",
            asked.client_order_id,
        )
        assert execution.price > 0
        assert execution.executed_at.utcoffset() is not None

    def test_02_a_client_id_is_taken_for_ever(self) -> None:
        broker, asked = self.broker(), request()
        broker.submit(asked)
        with pytest.raises(DuplicateClientOrderId):
            broker.submit(asked)
        assert [held.quantity for held in broker.positions()] == [2]

    def test_03_a_refusal_is_a_refusal_with_a_reason_and_places_nothing(self) -> None:
        broker = self.broker()
        with pytest.raises(OrderRejected, match=r"\w+"):
            broker.submit(request(symbol="NOSUCHTHING"))
        assert broker.positions() == ()

    def test_04_an_answer_lost_after_arrival_is_unknown_and_can_be_looked_up(self) -> None:
        broker, asked = self.broker(), request()
        self.lose_answers(arrives=True)
        with pytest.raises(OutcomeUnknown):
            broker.submit(asked)
        self.settle()
        found = broker.lookup(asked.client_order_id)
        assert found is not None
        assert filled(found) == 2

    def test_05_an_order_lost_before_arrival_is_not_found_and_may_be_sent_again(self) -> None:
        broker, asked = self.broker(), request()
        self.lose_answers(arrives=False)
        with pytest.raises(OutcomeUnknown):
            broker.submit(asked)
        assert broker.lookup(asked.client_order_id) is None
        if broker.idempotent_client_ids:
            assert broker.submit(asked).state == "filled"

    def test_06_a_failed_read_is_unavailable_and_never_nothing(self) -> None:
        broker, asked = self.broker(), request()
        broker.submit(asked)
        for read in (broker.positions, lambda: broker.lookup(asked.client_order_id), lambda: broker.updates(0)):
            self.go_dark()
            with pytest.raises(VenueUnavailable):
                read()

    def test_07_a_resting_order_is_accepted_and_fills_when_the_market_comes(self) -> None:
        broker, asked = self.broker(), request(type="limit", limit_price=Decimal(95))
        assert broker.submit(asked).state == "accepted"
        self.move_market("94")
        found = broker.lookup(asked.client_order_id)
        assert found is not None
        assert found.state == "filled"
        assert found.executions[0].price <= 95

    def test_08_a_partial_fill_is_told_and_completed_without_repeating_it(self) -> None:
        broker, asked = self.broker(), request(type="limit", limit_price=Decimal(95), quantity=Decimal(10))
        broker.submit(asked)
        self.move_market("94", volume="16")
        first = broker.lookup(asked.client_order_id)
        assert first is not None
        assert (first.state, filled(first)) == ("partially_filled", 4)
        self.move_market("93")
        second = broker.lookup(asked.client_order_id)
        assert second is not None
        assert (second.state, filled(second)) == ("filled", 10)
        assert second.executions[0] == first.executions[0]

    def test_09_cancelling_ends_the_rest_and_keeps_what_was_filled(self) -> None:
        broker, asked = self.broker(), request(type="limit", limit_price=Decimal(95), quantity=Decimal(10))
        broker.submit(asked)
        self.move_market("94", volume="16")
        report = broker.cancel(asked.client_order_id)
        assert (report.state, filled(report)) == ("canceled", 4)
        self.move_market("90")
        assert [held.quantity for held in broker.positions()] == [4]

    def test_10_cancelling_what_is_over_says_what_it_is(self) -> None:
        broker, asked = self.broker(), request()
        self.place(broker, asked)
        assert broker.cancel(asked.client_order_id).state == "filled"
        with pytest.raises(OrderRejected):
            broker.cancel("never-sent")

    def test_11_updates_tell_everything_once_and_again_from_an_older_cursor(self) -> None:
        broker, asked = self.broker(), request()
        before = broker.updates(0).cursor
        self.place(broker, asked)
        first = broker.updates(before)
        assert [order.client_order_id for order in first.orders] == [asked.client_order_id]
        assert broker.updates(first.cursor).orders == ()
        assert broker.updates(first.cursor).cursor == first.cursor
        assert broker.updates(before) == first

    def test_12_positions_are_net_and_flat_ones_are_not_listed(self) -> None:
        broker = self.broker()
        self.place(broker, request(quantity=Decimal(3)))
        self.place(broker, request(side="sell", quantity=Decimal(5)))
        assert [(held.symbol, held.quantity) for held in broker.positions()] == [("BTCUSDT", -2)]
        self.place(broker, request())
        assert broker.positions() == ()

    def test_13_a_reduce_only_order_never_flips(self) -> None:
        broker = self.broker()
        self.place(broker, request(quantity=Decimal(3)))
        report = self.place(broker, request(side="sell", quantity=Decimal(5), reduce_only=True))
        assert (report.state, filled(report)) == ("canceled", 3)
        assert broker.positions() == ()
        with pytest.raises(OrderRejected):
            broker.submit(request(side="sell", reduce_only=True))

    def test_14_of_stop_and_target_one_cancels_the_other(self) -> None:
        broker, (asked, stop, target) = self.broker(), bracket()
        self.place(broker, asked)
        self.move_market("94")
        ends = [broker.lookup(leg.client_order_id) for leg in (stop, target)]
        assert [leg.state for leg in ends if leg] == ["filled", "canceled"]
        assert broker.positions() == ()

    def test_15_legs_follow_the_filled_quantity(self) -> None:
        broker, (asked, stop, target) = (
            self.broker(),
            bracket(quantity="10", type="limit", limit_price=Decimal(98)),
        )
        broker.submit(asked)
        self.move_market("97", volume="16")
        broker.cancel(asked.client_order_id)
        self.move_market("111")
        ends = [broker.lookup(leg.client_order_id) for leg in (stop, target)]
        assert [(leg.state, filled(leg)) for leg in ends if leg] == [("canceled", 0), ("filled", 4)]
        assert broker.positions() == ()

    def test_16_legs_end_with_an_entry_that_never_filled(self) -> None:
        broker, (asked, stop, _) = self.broker(), bracket(type="limit", limit_price=Decimal(98))
        broker.submit(asked)
        broker.cancel(asked.client_order_id)
        self.move_market("94")
        found = broker.lookup(stop.client_order_id)
        assert found is not None
        assert found.state == "canceled"
        assert broker.positions() == ()

    def test_17_costs_and_settings_are_told_without_asking_the_venue(self) -> None:
        broker = self.broker()
        self.go_dark()
        assert 0 <= broker.round_trip_cost() < 1
        for setting in broker.settings_summary():
            assert setting.label
            assert isinstance(setting.value, Decimal)


def bracket(quantity: str = "2", **changes: object) -> tuple[OrderRequest, OrderRequest, OrderRequest]:
    """A long entry with a stop at 95 and a target at 110, and the two legs by themselves."""
    size = Decimal(quantity)
    common = {"side": "sell", "quantity": size, "reduce_only": True}
    stop = request(**common, type="stop", stop_price=Decimal(95))
    target = request(**common, type="limit", limit_price=Decimal(110))
    return request(quantity=size, legs=(stop, target), **changes), stop, target
