"""What is in a plan to the last number: its side, its stops, its size by each sizing, and what it says."""

import math
from decimal import Decimal

import pytest

from brokers.risk import Limits
from memory.agent import CASES_TO_ACT, Plan
from memory.confidence import Level
from memory.intents import Action, Intent
from tests.support import agent
from tests.support.agent import LIMITS, WIDE

# 1.5 deviations of twelve bars, by hand: 0.52 below 100, and one and a half times that above.
DISTANCE = Decimal(str(1.5 * 0.001 * math.sqrt(12) * 100)).quantize(Decimal("0.01"))
STOP, TARGET = Decimal(100) - DISTANCE, Decimal(100) + Decimal("1.5") * DISTANCE


def plan_for(signal=None, **situation) -> Plan:
    """A plan that risks little within wide limits, so that nothing is clipped."""
    changes = {"limits": WIDE, "levels": levels(0, 0)} | situation
    return agent.plan_for({"risk_pct": Decimal("0.1")} | (signal or {}), **changes)


def levels(wins: int, cases: int) -> tuple[Level, ...]:
    return (Level("desk", wins, cases),)


def test_the_stop_lies_where_the_formula_puts_it() -> None:
    assert Decimal("0.52") == DISTANCE
    barriers = plan_for().barriers
    assert barriers is not None
    assert (barriers.entry, barriers.stop, barriers.target) == (100, STOP, TARGET)


@pytest.mark.parametrize(
    ("intent", "position", "side", "stop", "target"),
    [
        ("short", "10", Intent.SHORT, Decimal("100.52"), Decimal("99.22")),
        ("long", "-10", Intent.LONG, STOP, TARGET),
        ("short", "0.5", Intent.SHORT, Decimal("100.52"), Decimal("99.22")),
    ],
)
def test_a_reversal_has_the_side_and_the_stops_of_what_it_opens(intent, position, side, stop, target) -> None:
    plan = plan_for({"intent": intent}, position=Decimal(position), open_positions=1)
    assert plan.barriers is not None
    assert (plan.side, plan.barriers.stop, plan.barriers.target) == (side, stop, target)
    assert plan.exit_quantity == abs(Decimal(position))
    assert plan.entry_quantity > 0


@pytest.mark.parametrize(
    ("position", "side", "stop"), [("0.5", Intent.LONG, STOP), ("-0.5", Intent.SHORT, Decimal("100.52"))]
)
def test_a_close_is_followed_on_the_side_that_was_held(position, side, stop) -> None:
    plan = plan_for({"intent": "flat"}, position=Decimal(position))
    assert plan.barriers is not None
    assert (plan.action, plan.side, plan.barriers.stop) == (Action.CLOSE, side, stop)
    assert (plan.reason, plan.exit_quantity, plan.refused) == ("closes the position", Decimal("0.5"), False)


@pytest.mark.parametrize(
    ("intent", "position", "action"),
    [("long", "0.5", Action.BUY), ("long", "0.001", Action.BUY), ("short", "-0.5", Action.SELL)],
)
def test_a_signal_for_the_side_that_is_held_closes_nothing_of_a_fraction(intent, position, action) -> None:
    plan = plan_for({"intent": intent}, position=Decimal(position), open_positions=1)
    assert (plan.action, plan.exit_quantity, plan.refused) == (action, 0, False)
    assert plan.entry_quantity > 0


@pytest.mark.parametrize(("intent", "position"), [("short", "0.5"), ("long", "-0.001")])
def test_a_signal_against_a_fraction_closes_just_that(intent, position) -> None:
    plan = plan_for({"intent": intent, "stale": True, "stale_reason": "late"}, position=Decimal(position))
    assert (plan.action, plan.exit_quantity, plan.entry_quantity) == (Action.CLOSE, abs(Decimal(position)), 0)
    assert (plan.reason, plan.refused) == ("only closes: late", True)


def test_risk_sizing_is_the_share_of_equity_over_the_distance_to_the_stop() -> None:
    plan = plan_for()
    assert plan.entry_quantity == plan.wanted_quantity == Decimal("192.307")  # 100 / 0.52, in steps of 0.001
    assert plan.sizing == "0.1 % of equity between entry and stop"
    assert plan_for({"intent": "short"}).entry_quantity == Decimal("192.307")


def test_risk_sizing_without_equity_wants_nothing() -> None:
    plan = plan_for(equity=Decimal(-1000))
    assert (plan.action, plan.refused, plan.wanted_quantity, plan.entry_quantity) == (Action.HOLD, True, 0, 0)


def test_sizing_by_value_buys_that_value_in_whole_steps() -> None:
    plan = plan_for({"sizing": "notional", "notional": Decimal("1000.0000")}, price=Decimal(30))
    assert (plan.entry_quantity, plan.sizing) == (Decimal("33.333"), "a value of 1000")


def test_sizing_by_value_without_a_value_risks_the_share() -> None:
    plan = plan_for({"sizing": "notional"})
    assert (plan.entry_quantity, plan.sizing) == (Decimal("192.307"), "0.1 % of equity between entry and stop")


def test_sizing_by_the_alert_takes_its_quantity_in_whole_steps() -> None:
    plan = plan_for({"sizing": "alert", "quantity": Decimal("3.0009"), "notional": Decimal(700)})
    assert (plan.entry_quantity, plan.sizing) == (Decimal("3.000"), "the quantity in the alert")


def test_sizing_by_the_alert_without_a_quantity_risks_the_share_and_says_so() -> None:
    plan = plan_for({"sizing": "alert", "notional": Decimal(700)})
    assert plan.entry_quantity == Decimal("192.307")
    assert plan.sizing == "0.1 % of equity between entry and stop, as the alert named no quantity"


@pytest.mark.parametrize("sizing", ["risk", "notional"])
def test_a_quantity_in_the_alert_is_ignored_by_other_sizings(sizing) -> None:
    plan = plan_for({"sizing": sizing, "quantity": Decimal(3), "notional": Decimal(700)})
    assert plan.entry_quantity == (7 if sizing == "notional" else Decimal("192.307"))


def test_what_is_held_of_the_instrument_takes_up_its_place_in_the_limits() -> None:
    held = {"limits": Limits(Decimal(100), Decimal(25), 8, Decimal(5)), "position": Decimal(240)}
    plan = plan_for({"sizing": "alert", "quantity": Decimal(30)}, open_positions=8, **held)
    assert (plan.entry_quantity, plan.wanted_quantity) == (10, 30)
    assert [check.name for check in plan.checks if not check.ok] == []


def test_a_reversal_is_sized_as_if_the_exit_had_left_its_place() -> None:
    held = {"limits": Limits(Decimal(100), Decimal(25), 8, Decimal(5)), "position": Decimal(-240)}
    plan = plan_for({"sizing": "alert", "quantity": Decimal(30)}, open_positions=8, **held)
    assert (plan.exit_quantity, plan.entry_quantity, plan.action) == (240, 30, Action.BUY)
    counted = next(check for check in plan.checks if check.name == "open_positions")
    assert (counted.value, counted.limit) == (7, 8)


def test_an_addition_needs_no_free_place_and_another_instrument_does() -> None:
    plan = plan_for(open_positions=8)
    assert (plan.action, plan.reason) == (Action.HOLD, "8 of 8 positions are open")
    assert plan_for(open_positions=7).action == Action.BUY


def test_the_venues_minimum_and_step_are_the_instruments() -> None:
    small = {"sizing": "alert", "quantity": Decimal("0.0499")}
    assert plan_for(small).reason == "order of 4.90 is below the venue's minimum of 5.00"
    assert plan_for({**small, "quantity": Decimal("0.05")}).entry_quantity == Decimal("0.05")
    assert plan_for({"sizing": "alert", "quantity": Decimal("0.0009")}).refused


@pytest.mark.parametrize("intent", ["long", "short"])
def test_a_daily_loss_at_its_limit_refuses_every_entry(intent) -> None:
    plan = plan_for({"intent": intent}, equity=Decimal(95_000), day_pnl=Decimal(-5000))
    assert (plan.action, plan.refused) == (Action.HOLD, True)
    assert plan.reason == "loss of the day is 5.00 % of 5 % allowed"


def test_a_signal_that_asks_for_nothing_holds_with_its_own_reason() -> None:
    plan = plan_for({"hold": "the alert asks for nothing", "intent": "flat"}, position=Decimal(10))
    assert (plan.action, plan.reason, plan.refused) == (Action.HOLD, "the alert asks for nothing", False)
    assert (plan.exit_quantity, plan.side, plan.barriers) == (0, Intent.FLAT, None)


def test_without_a_price_the_plan_says_so() -> None:
    plan = plan_for(price=None)
    assert (plan.reason, plan.refused, plan.barriers) == ("no price for this instrument", True, None)


def test_an_unknown_volatility_is_noted_and_a_known_one_is_not() -> None:
    assert plan_for(sigma=None).notes == ("volatility unknown: the stop is 1 % away",)
    assert plan_for().notes == ()


def test_a_plan_carries_its_base_its_break_even_and_its_confidence() -> None:
    plan = plan_for(levels=levels(60, 100))
    assert plan.base == pytest.approx(0.4)  # stop 0.52, target 0.78
    assert plan.break_even == pytest.approx((0.0052 + 0.0014) / (0.0052 + 0.0078))
    assert plan.confidence is not None
    assert plan.confidence.mean == pytest.approx((60 + 50 * 0.4) / 150)


@pytest.mark.parametrize(
    ("reason", "says"), [("fire", "the desk is halted: fire"), ("", "the desk is halted: by hand")]
)
def test_a_halted_desk_says_why_and_keeps_what_is_known(reason, says) -> None:
    plan = plan_for({"intent": "short"}, position=Decimal(10), desk_state="halted", desk_reason=reason)
    assert (plan.action, plan.reason, plan.refused) == (Action.HOLD, says, True)
    assert (plan.exit_quantity, plan.entry_quantity, plan.side) == (0, 0, Intent.SHORT)
    assert plan.confidence is not None


@pytest.mark.parametrize(
    ("signal", "context", "reason"),
    [
        ({"stale": True, "stale_reason": "late"}, {"desk_state": "reducing"}, "late"),
        ({"stale": False, "stale_reason": "late"}, {}, "follows the alert"),
        ({"intent": "short", "allow_short": False}, {}, "this source may not go short"),
        ({"allow_short": False}, {}, "follows the alert"),
        ({}, {"desk_state": "reducing", "desk_reason": "news"}, "the desk only reduces: news"),
        ({}, {"limits": LIMITS}, "follows the alert, size cut by a limit"),
        ({"policy": "shadow"}, {}, "would follow the alert: shadow, no order"),
        ({"intent": "short"}, {"position": Decimal(1)}, "closes, then follows the alert"),
        ({"policy": "filter"}, {"levels": levels(90, 100)}, "follows: the evidence supports it"),
        (
            {"policy": "filter", "intent": "short"},
            {
                "levels": levels(90, 100),
                "position": Decimal(1),
                "limits": LIMITS,
            },
            "closes, then follows: the evidence supports it, size cut by a limit",
        ),
    ],
)
def test_each_plan_says_what_it_does_and_why(signal, context, reason) -> None:
    assert plan_for(signal, **context).reason == reason


def test_a_filter_counts_the_cases_of_the_narrowest_level() -> None:
    narrow = (Level("desk", 900, 1000), Level("instrument and side", 27, CASES_TO_ACT - 1))
    plan = plan_for({"policy": "filter"}, levels=narrow)
    assert (plan.refused, plan.reason) == (True, "not enough evidence: 29 of 30 cases")
    enough = (*narrow[:1], Level("instrument and side", 27, CASES_TO_ACT))
    assert plan_for({"policy": "filter"}, levels=enough).action == Action.BUY
    assert plan_for({"policy": "filter"}, levels=()).reason == "not enough evidence: 0 of 30 cases"


def test_a_filter_says_by_how_much_the_evidence_falls_short() -> None:
    plan = plan_for({"policy": "filter"}, levels=levels(40, 100))
    assert plan.reason == "confidence 40% is below break-even 51%"


def test_a_filter_holds_back_at_break_even_itself() -> None:
    # Without costs the break-even is the rate of a market without edge, where an even record stays.
    plan = plan_for({"policy": "filter"}, levels=levels(40, 100), cost=0.0)
    assert plan.confidence is not None
    assert plan.confidence.mean == plan.break_even
    assert plan.refused


def test_a_size_of_nothing_is_too_small_to_trade() -> None:
    plan = plan_for({"sizing": "alert", "quantity": Decimal("0.0001")})
    assert plan.entry_quantity == 0
    assert plan.reason == "order of 0.00 is below the venue's minimum of 5.00"


def test_what_a_limit_leaves_is_in_whole_steps_as_well() -> None:
    tight = {"limits": LIMITS, "price": Decimal(30)}
    plan = plan_for({"sizing": "alert", "quantity": Decimal(400)}, **tight)
    assert plan.entry_quantity == Decimal("166.666")  # 5,000 / 30
