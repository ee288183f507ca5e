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


def test_an_average_is_weighed_by_quantity_and_without_executions_there_is_none():
    deals = [
        Deal("buy", Decimal(1), Decimal(100), Decimal("0.1")),
        Deal("buy", Decimal(3), Decimal(200), Decimal("0.4")),
    ]
    assert pnl.average(deals) == (4, 175, Decimal("0.5"))
    assert pnl.average([]) == (0, None, 0)


def test_an_average_has_the_places_that_the_database_holds():
    deals = [Deal("buy", Decimal(1), Decimal(1)), Deal("buy", Decimal(2), Decimal(2))]
    assert pnl.average(deals)[1] == Decimal("1.6666666667")


LONG = [
    Deal("buy", Decimal(2), Decimal(100), Decimal("0.2")),
    Deal("buy", Decimal(1), Decimal(130), Decimal("0.1")),
    Deal("sell", Decimal(1), Decimal(120), Decimal("0.3")),
]


def test_a_partly_closed_trade_has_the_profit_of_what_was_closed():
    numbers = pnl.figures("long", LONG)
    assert (numbers.quantity, numbers.entry_price) == (3, 110)
    assert (numbers.exit_quantity, numbers.exit_price) == (1, 120)
    assert (numbers.gross_pnl, numbers.fees, numbers.pnl) == (10, Decimal("0.6"), Decimal("9.4"))


def test_a_partly_closed_short_earns_what_the_price_fell():
    mirrored = [
        Deal("sell" if deal.side == "buy" else "buy", deal.quantity, deal.price, deal.fee) for deal in LONG
    ]
    numbers = pnl.figures("short", mirrored)
    assert (numbers.quantity, numbers.entry_price, numbers.exit_quantity) == (3, 110, 1)
    assert (numbers.gross_pnl, numbers.pnl) == (-10, Decimal("-10.6"))


def test_a_trade_with_no_exit_has_no_exit_price_and_loses_its_fees():
    numbers = pnl.figures("long", LONG[:2])
    assert (numbers.exit_quantity, numbers.exit_price, numbers.gross_pnl) == (0, None, 0)
    assert numbers.pnl == Decimal("-0.3")


def test_a_closed_trade_is_proceeds_less_cost_without_rounding_between():
    deals = [
        Deal("buy", Decimal(1), Decimal(1)),
        Deal("buy", Decimal(2), Decimal(2)),
        Deal("sell", Decimal(3), Decimal(3)),
    ]
    numbers = pnl.figures("long", deals)
    assert (numbers.entry_price, numbers.exit_price, numbers.gross_pnl) == (Decimal("1.6666666667"), 3, 4)


def test_a_closed_trade_of_many_digits_is_proceeds_less_cost_to_the_last_place():
    quantity, price = Decimal("976554.3"), Decimal("93258.8338932565")
    numbers = pnl.figures("long", [Deal("buy", quantity, price), Deal("sell", quantity, Decimal(100_000))])
    # Exactly …392205: half of the last place goes to the even one. By way of an average it would be …39221.
    assert numbers.gross_pnl == Decimal("6583114748.5546239220")


def test_a_deal_that_crosses_zero_shares_its_fee_by_quantity():
    deal = Deal("sell", Decimal(5), Decimal(90), Decimal("1.00"))
    closing, opening = pnl.split(Decimal(2), deal)
    assert (closing.quantity, closing.fee, closing.price) == (2, Decimal("0.4"), 90)
    assert (opening.quantity, opening.fee, opening.side) == (3, Decimal("0.6"), "sell")


def test_a_deal_of_just_what_is_held_only_closes_and_one_of_the_same_side_only_opens():
    sell, buy = Deal("sell", Decimal(2), Decimal(90)), Deal("buy", Decimal(2), Decimal(90))
    assert pnl.split(Decimal(2), sell) == (sell, None)
    assert pnl.split(Decimal(2), buy) == (None, buy)
    assert pnl.split(Decimal(0), sell) == (None, sell)
    assert pnl.split(Decimal("-0.5"), Deal("buy", Decimal("0.25"), Decimal(1)))[1] is None


def test_crossing_zero_realises_the_old_and_opens_the_new_at_its_own_price():
    holding = play(
        [Deal("buy", Decimal(2), Decimal(100), Decimal("0.5")), Deal("sell", Decimal(5), Decimal(90), Decimal(1))]
    )
    assert (holding.quantity, holding.average_price) == (-3, 90)
    assert (holding.realised_pnl, holding.fees) == (-20, Decimal("1.5"))


def test_a_flat_holding_has_no_average_price():
    holding = play([Deal("buy", Decimal(2), Decimal(100)), Deal("sell", Decimal(2), Decimal(110))])
    assert (holding.quantity, holding.average_price, holding.realised_pnl) == (0, 0, 20)
