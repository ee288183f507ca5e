"""Limits: what they leave, and what they say."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.models import Desk
from brokers.risk import Limits, breaches_daily_loss, check_entry, refusal_at_claim

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
    assert "clipped from 10,000.00 to 5,000.00" in next(c.text for c in verdict.checks if c.name == "order_size")


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


def at_claim(**changes):
    values = {
        "limits": LIMITS,
        "equity": Decimal(100_000),
        "day_pnl": Decimal(0),
        "others_held": 0,
        "committed_value": Decimal(0),
        "order_value": Decimal(1000),
    }
    return refusal_at_claim(**(values | changes))


def test_a_loss_of_the_day_at_its_limit_denies_an_entry_at_the_claim():
    lost = {"equity": Decimal(95_000), "day_pnl": Decimal(-5000)}
    assert at_claim(**lost) == "loss of the day is 5.00 % of 5 % allowed"
    assert at_claim(equity=Decimal("95000.01"), day_pnl=Decimal("-4999.99")) == ""


def test_at_the_claim_every_place_may_be_taken_but_no_more():
    assert at_claim(others_held=7) == ""
    assert at_claim(others_held=8) == "8 positions are open or being opened, at most 8 may be"
    assert at_claim(others_held=9).startswith("9 positions")


def test_at_the_claim_an_order_may_exceed_its_limit_by_the_tolerance_and_no_more():
    assert at_claim(order_value=Decimal(5100)) == ""
    assert at_claim(order_value=Decimal("5100.01")) == "order of 5,100.01 is above 5 % of equity"


def test_at_the_claim_what_is_committed_counts_towards_the_position():
    assert at_claim(committed_value=Decimal(24_500)) == ""
    assert (
        at_claim(committed_value=Decimal(24_500), order_value=Decimal("1000.01"))
        == "position would be 25,500.01, above 25 % of equity"
    )


def test_the_daily_loss_is_reached_exactly_at_the_limit():
    assert breaches_daily_loss(LIMITS, Decimal(95_000), Decimal(-5000))
    assert not breaches_daily_loss(LIMITS, Decimal("95000.01"), Decimal("-4999.99"))
    assert not breaches_daily_loss(LIMITS, Decimal(105_000), Decimal(5000))


def test_a_day_that_began_without_equity_is_lost_whole():
    assert breaches_daily_loss(LIMITS, Decimal(0), Decimal(0))
    assert breaches_daily_loss(LIMITS, Decimal(-10), Decimal(-10))
    assert not breaches_daily_loss(LIMITS, Decimal("0.5"), Decimal(0))
    whole = replace(LIMITS, max_daily_loss_pct=Decimal(100))
    assert breaches_daily_loss(whole, Decimal(0), Decimal(0))
    assert not breaches_daily_loss(replace(LIMITS, max_daily_loss_pct=Decimal("100.5")), Decimal(0), Decimal(0))


def named(verdict, name):
    return next(item for item in verdict.checks if item.name == name)


def test_every_check_carries_what_was_measured_and_what_is_allowed():
    verdict = check(equity=Decimal(99_000), day_pnl=Decimal(-1000), position_value=Decimal("2000.126"))
    assert [(item.name, item.ok, item.value, item.limit) for item in verdict.checks] == [
        ("desk_state", True, "active", "active"),
        ("daily_loss", True, 1.0, 5.0),
        ("open_positions", True, 0, 8),
        ("order_size", True, 1000.0, 4950.0),
        ("position_size", True, 3000.13, 24_750.0),
        ("min_notional", True, 1000.0, 5.0),
    ]
    assert [item.text for item in verdict.checks] == [
        "desk is active",
        "loss of the day is 1.00 % of 5 % allowed",
        "0 of 8 positions are open",
        "order of 1,000.00 is within 5 % of equity",
        "position of 3,000.13 is within 25 % of equity",
        "order of 1,000.00 is at least the venue's minimum of 5.00",
    ]


def test_the_figures_of_checks_are_rounded_to_what_a_page_shows():
    verdict = check(equity=Decimal("98765.43215"), day_pnl=Decimal("-1234.56789"), order_value=Decimal("1000.126"))
    assert named(verdict, "daily_loss").value == 1.2346
    assert (named(verdict, "order_size").value, named(verdict, "order_size").limit) == (1000.13, 4938.27)
    assert named(verdict, "position_size").limit == 24691.36
    assert named(verdict, "min_notional").value == 1000.13
    assert named(check(min_notional=Decimal("5.126")), "min_notional").limit == 5.13


def test_a_check_says_what_was_clipped_and_what_is_full():
    large = check(order_value=Decimal(30_000), quantity=Decimal(300))
    assert named(large, "order_size").text == "order was clipped from 30,000.00 to 5,000.00, 5 % of equity"
    near = check(order_value=Decimal(3000), quantity=Decimal(30), position_value=Decimal(23_000))
    assert named(near, "position_size").text == "position was clipped from 26,000.00 to 25,000.00, 25 % of equity"
    full = check(position_value=Decimal(25_000))
    assert full.reason == "position of 25,000.00 already takes 25 % of equity (25,000.00)"
    exact = check(order_value=Decimal(5000), quantity=Decimal(50), position_value=Decimal(20_000))
    assert (exact.quantity_allowed, exact.clipped, exact.reason) == (50, False, "")
    assert named(exact, "order_size").text == "order of 5,000.00 is within 5 % of equity"
    assert named(exact, "position_size").text == "position of 25,000.00 is within 25 % of equity"


def test_an_order_at_the_venues_minimum_is_good_and_nothing_at_all_never_is():
    assert check(order_value=Decimal(5), quantity=Decimal(1)).ok
    none = check(order_value=Decimal(0), quantity=Decimal(0), min_notional=Decimal(0))
    assert (none.ok, failed(none)) == (False, ["min_notional"])
    assert none.reason == "order of 0.00 is below the venue's minimum of 0.00"


def test_a_refused_entry_allows_nothing_and_is_not_called_clipped():
    refused = check(desk_state="halted", order_value=Decimal(10_000), quantity=Decimal(100))
    assert (refused.ok, refused.quantity_allowed, refused.clipped) == (False, 0, False)
    assert refused.reason == "desk is halted: no entries"


def test_no_equity_and_a_debt_leave_no_size():
    for equity in (Decimal(0), Decimal(-100)):
        verdict = check(equity=equity)
        assert "order_size" in failed(verdict)
        assert "position_size" in failed(verdict)
        assert verdict.quantity_allowed == 0


def test_the_allowed_quantity_is_a_share_of_what_was_asked_for():
    verdict = check(order_value=Decimal(8000), quantity=Decimal(4), step=Decimal("0.1"))
    assert verdict.quantity_allowed == Decimal("2.5")
    assert check(
        order_value=Decimal("0.5"), quantity=Decimal("0.5"), min_notional=Decimal(0)
    ).quantity_allowed == Decimal("0.5")


def test_the_limits_of_a_desk_are_its_rows():
    desk = Desk(
        max_order_pct=Decimal(1), max_position_pct=Decimal(2), max_open_positions=3, max_daily_loss_pct=Decimal(4)
    )
    assert Limits.of(desk) == Limits(Decimal(1), Decimal(2), 3, Decimal(4))
