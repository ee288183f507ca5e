"""What an account holds, is worth, and will hold once its orders have filled: values in, values out."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from brokers.account import Account, Equity, Held, OpenOrder
from brokers.orders import states


def held(
    quantity: str, price: str | None = "110", instrument: int = 1, realised: str = "0", fees: str = "0"
) -> Held:
    return Held(
        instrument, Decimal(quantity), Decimal(100), Decimal(realised), Decimal(fees),
        None if price is None else Decimal(price),
    )  # fmt: skip


def order(
    side: str, left: str, *, reduce_only: bool = False, state: str = "accepted", instrument: int = 1
) -> OpenOrder:
    role = "exit" if reduce_only else "entry"
    return OpenOrder(instrument, role, side, reduce_only, state, Decimal(left))


def account(*holdings: Held, orders: tuple[OpenOrder, ...] = ()) -> Account:
    return Account(Decimal(1000), holdings, orders, Decimal(990))


def test_a_long_gains_with_the_price_and_a_short_loses_by_it() -> None:
    assert held("2").unrealised_pnl == 20
    assert held("-2").unrealised_pnl == -20
    assert held("2", "95").unrealised_pnl == -10


def test_without_a_price_a_position_is_worth_what_it_cost() -> None:
    assert held("2", None).last_price == 100
    assert held("2", None).unrealised_pnl == 0
    assert held("2", "0").last_price == 0


@pytest.mark.parametrize(("quote", "price"), [(None, None), (SimpleNamespace(price=Decimal(60)), Decimal(60))])
def test_a_holding_is_what_its_row_and_its_quote_say(quote: object, price: Decimal | None) -> None:
    row: Any = SimpleNamespace(
        instrument_id=7, quantity=Decimal(-3), average_price=Decimal(50), realised_pnl=Decimal(4), fees=Decimal(1),
        instrument=SimpleNamespace(quote_now=quote),
    )  # fmt: skip
    assert Held.of(row) == Held(7, Decimal(-3), Decimal(50), Decimal(4), Decimal(1), price)


def test_equity_is_what_was_there_first_and_all_that_was_won_and_paid_since() -> None:
    rows = (held("2", realised="7", fees="1"), held("-1", "90", 2), held("0", None, 3, realised="-4", fees="0.5"))
    # 1,000 + open (20 + 10) + closed (6 − 4.5); positions are worth 220 and −90.
    assert account(*rows).equity == Equity(
        equity=Decimal("1031.5"),
        cash=Decimal("901.5"),
        unrealised_pnl=Decimal(30),
        day_start_equity=Decimal(990),
        day_pnl=Decimal("41.5"),
    )


def test_an_account_without_positions_is_worth_what_it_began_with() -> None:
    assert account().equity == Equity(Decimal(1000), Decimal(1000), Decimal(0), Decimal(990), Decimal(10))
    assert account().open_positions == 0


def test_a_flat_position_is_not_counted_and_a_fraction_and_a_short_are() -> None:
    rows = (held("0"), held("0.001", instrument=2), held("-3", instrument=3))
    assert account(*rows).open_positions == 2


def test_a_holding_is_known_by_its_instrument() -> None:
    rows = (held("2"), held("0", instrument=2))
    assert account(*rows).held(2) == rows[1]
    assert account(*rows).held(3) is None


def test_what_has_left_and_is_not_over_is_in_flight() -> None:
    orders = tuple(order("buy", "1", state=state) for state in sorted(states.TRANSITIONS))
    assert {row.state for row in account(orders=orders).in_flight} == states.IN_FLIGHT


@pytest.mark.parametrize(
    ("quantity", "orders", "projected"),
    [
        ("0", (), "0"),
        ("2", (), "2"),
        ("0", (order("buy", "3"),), "3"),
        ("2", (order("sell", "3"),), "-1"),
        ("2", (order("buy", "1.5"), order("buy", "0.25")), "3.75"),
        ("2", (order("buy", "5", instrument=2),), "2"),
        # An exit goes to flat and no further, also where there is nothing for it to close.
        ("2", (order("sell", "5", reduce_only=True),), "0"),
        ("2", (order("sell", "0.5", reduce_only=True),), "1.5"),
        ("-2", (order("buy", "5", reduce_only=True),), "0"),
        ("-2", (order("buy", "0.5", reduce_only=True),), "-1.5"),
        ("2", (order("buy", "5", reduce_only=True),), "2"),
        ("-2", (order("sell", "5", reduce_only=True),), "-2"),
        ("0", (order("sell", "5", reduce_only=True),), "0"),
        # In their order: the exit closes what is held, the entry behind it opens the other side.
        ("2", (order("sell", "2", reduce_only=True), order("sell", "3")), "-3"),
        ("2", (order("sell", "3"), order("sell", "2", reduce_only=True)), "-1"),
        ("0.5", (order("sell", "0.75", reduce_only=True),), "0"),
    ],
)
def test_what_will_be_held_once_all_orders_have_filled(
    quantity: str, orders: tuple[OpenOrder, ...], projected: str
) -> None:
    assert account(held(quantity), orders=orders).projected(1) == Decimal(projected)


def test_what_was_never_held_begins_at_nothing() -> None:
    assert account(held("2"), orders=(order("buy", "3", instrument=9),)).projected(9) == 3
    assert account().projected(9) == 0
