"""Limits: what they leave, and what they say."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.risk import Limits, check_entry, refusal_at_claim

LIMITS = Limits(Decimal(5), Decimal(25), 8, Decimal(5))
AMOUNTS = st.decimals("0", "1000000", places=2)


def check(**changes):
    values = {
        "desk_state": "active",
        "limits": LIMITS,
        "equity": Decimal(100_000),
        "day_pnl": Decimal(0),
        "open_positions": 0,
        "position_value": Decimal(0),
        "order_value": Decimal(1000),
        "quantity": Decimal(10),
        "min_notional": Decimal(5),
    }
    return check_entry(**(values | changes))


def failed(verdict):
    return [item.name for item in verdict.checks if not item.ok]


def test_an_order_within_limits_is_left_alone():
    verdict = check()
    assert (verdict.quantity_allowed, verdict.clipped, failed(verdict)) == (10, False, [])


def test_a_large_order_is_clipped_and_the_check_says_so():
    verdict = check(order_value=Decimal(10_000), quantity=Decimal(100))
    assert (verdict.quantity_allowed, verdict.clipped) == (50, True)
    assert "clipped from 10000.00 to 5000.00" in next(c.text for c in verdict.checks if c.name == "order_size")


def test_a_position_near_its_limit_leaves_only_the_rest():
    verdict = check(order_value=Decimal(3000), quantity=Decimal(30), position_value=Decimal(23_000))
    assert verdict.quantity_allowed == 20


def test_a_full_position_leaves_nothing():
    assert failed(check(position_value=Decimal(25_000))) == ["position_size", "min_notional"]


def test_a_reducing_or_halted_desk_opens_nothing():
    for state in ("reducing", "halted"):
        verdict = check(desk_state=state)
        assert (verdict.quantity_allowed, failed(verdict)) == (0, ["desk_state"])
        assert state in verdict.reason


def test_the_loss_of_the_day_counts_against_the_equity_it_began_with():
    assert failed(check(equity=Decimal(95_000), day_pnl=Decimal(-5000))) == ["daily_loss"]
    assert failed(check(equity=Decimal("95000.01"), day_pnl=Decimal("-4999.99"))) == []


def test_another_instrument_needs_a_free_place_and_the_same_one_does_not():
    assert failed(check(open_positions=8)) == ["open_positions"]
    assert failed(check(open_positions=8, position_value=Decimal(100))) == []


def test_an_order_below_the_minimum_is_refused():
    assert failed(check(order_value=Decimal(4), quantity=Decimal(1))) == ["min_notional"]


def test_the_allowed_quantity_is_in_whole_steps():
    verdict = check(order_value=Decimal(7000), quantity=Decimal(7), step=Decimal("0.3"))
    assert verdict.quantity_allowed == Decimal("4.8")


def test_no_equity_allows_nothing():
    assert check(equity=Decimal(0)).quantity_allowed == 0


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.decimals("0.001", "1000", places=3))
def test_limits_never_allow_more_than_was_asked_or_than_they_leave(equity, held, value, quantity):
    verdict = check(equity=equity, position_value=held, order_value=value, quantity=quantity)
    allowed = verdict.quantity_allowed
    assert 0 <= allowed <= quantity
    worth = allowed * value / quantity
    slack = Decimal("1e-9")
    assert worth <= equity * LIMITS.max_order_pct / 100 + slack
    assert allowed == 0 or held + worth <= equity * LIMITS.max_position_pct / 100 + slack


def test_an_order_clipped_to_its_limit_is_not_denied_because_equity_moved_a_little():
    values = {"limits": LIMITS, "day_pnl": Decimal(0), "others_held": 0, "committed_value": Decimal(0)}
    assert refusal_at_claim(**values, equity=Decimal(99_000), order_value=Decimal(5000)) == ""
    assert "above 5 %" in refusal_at_claim(**values, equity=Decimal(90_000), order_value=Decimal(5000))
