"""Profit and positions: nothing appears, nothing vanishes."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.ledger import pnl
from brokers.ledger.pnl import Deal, Holding

DEALS = st.lists(
    st.builds(
        Deal,
        side=st.sampled_from(["buy", "sell"]),
        quantity=st.decimals("0.00001", "1000", places=5),
        price=st.decimals("0.01", "100000", places=2),
        fee=st.decimals("0", "50", places=4),
    ),
    min_size=1,
    max_size=20,
)


def play(deals: list[Deal]) -> Holding:
    holding = Holding()
    for deal in deals:
        holding = pnl.apply(holding, deal)
    return holding


def rounding(deals: list[Deal]) -> Decimal:
    """What rounding average prices to 10 places may cost at most."""
    return sum((deal.quantity for deal in deals), Decimal(1)) * len(deals) * Decimal("1e-10")


@given(DEALS)
def test_the_position_is_the_sum_of_its_fills(deals):
    assert play(deals).quantity == sum(deal.signed for deal in deals)


@given(DEALS, st.decimals("0.01", "100000", places=2))
def test_cash_and_positions_are_conserved_at_any_price(deals, price):
    holding = play(deals)
    by_cash = sum(deal.cash for deal in deals) + holding.quantity * price
    by_profit = holding.realised_pnl - holding.fees + holding.quantity * (price - holding.average_price)
    assert abs(by_cash - by_profit) <= rounding(deals)


@given(DEALS)
def test_all_fees_are_counted_once_also_across_zero(deals):
    assert play(deals).fees == sum(deal.fee for deal in deals)


@given(DEALS, st.decimals("0.01", "100000", places=2))
def test_closing_profit_is_proceeds_less_cost_less_fees(deals, price):
    """Of every trade, flat to flat, whatever crossed zero on the way."""
    held, trade, trades = Decimal(0), [], []
    quantity = play(deals).quantity
    closing = [Deal("sell" if quantity > 0 else "buy", abs(quantity), price)] if quantity else []
    for deal in deals + closing:
        for part in filter(None, pnl.split(held, deal)):
            trade.append(part)
            held += part.signed
            if held == 0:
                trades.append(trade)
                trade = []
    assert not trade
    for done in trades:
        side = "long" if done[0].side == "buy" else "short"
        numbers = pnl.figures(side, done)
        assert numbers.exit_quantity == numbers.quantity
        assert abs(numbers.pnl - sum(deal.cash for deal in done)) <= Decimal("1e-10")


@given(st.decimals("-100", "100", places=3), DEALS)
def test_a_split_closes_first_and_loses_nothing(held, deals):
    deal = deals[0]
    closing, opening = pnl.split(held, deal)
    parts = [part for part in (closing, opening) if part]
    assert sum(part.quantity for part in parts) == deal.quantity
    assert sum(part.fee for part in parts) == deal.fee
    assert all(part.quantity > 0 for part in parts)
    assert closing is None or abs(held + closing.signed) <= abs(held)


def test_adding_moves_the_average_and_reducing_keeps_it():
    holding = play([Deal("buy", Decimal(1), Decimal(100)), Deal("buy", Decimal(3), Decimal(200))])
    assert holding.average_price == 175
    holding = pnl.apply(holding, Deal("sell", Decimal(2), Decimal(180)))
    assert (holding.average_price, holding.realised_pnl) == (175, 10)


def test_a_short_earns_when_the_price_falls():
    holding = play([Deal("sell", Decimal(2), Decimal(100)), Deal("buy", Decimal(2), Decimal(90))])
    assert (holding.quantity, holding.realised_pnl) == (0, 20)
