"""What the agent makes of a signal in a situation: no database, no clock."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.models import Desk
from brokers.risk import Limits
from memory.confidence import Level
from tests.support.agent import plan_for

LONG, SHORT = Decimal(10), Decimal(-10)


def test_a_long_signal_from_flat_buys_within_the_order_limit() -> None:
    plan = plan_for()
    assert (plan.action, plan.refused, plan.exit_quantity) == ("BUY", False, 0)
    assert plan.entry_quantity == Decimal(50)
    assert plan.wanted_quantity > plan.entry_quantity
    assert "cut by a limit" in plan.reason


def test_risk_sizing_risks_the_share_asked_for() -> None:
    plan = plan_for({"risk_pct": Decimal("0.01")})
    stop_distance = 100 * 1.5 * 0.001 * math.sqrt(12)  # worked out here, not read from the plan
    assert float(plan.entry_quantity) * stop_distance == pytest.approx(10, rel=0.01)


def test_an_opposite_signal_closes_first_and_then_reverses() -> None:
    plan = plan_for({"intent": "short"}, position=LONG, open_positions=1)
    assert (plan.action, plan.exit_quantity) == ("SELL", LONG)
    assert plan.entry_quantity > 0
    assert plan.reason.startswith("closes, then")


@pytest.mark.parametrize("position", [LONG, SHORT])
def test_flat_closes_what_is_held(position) -> None:
    plan = plan_for({"intent": "flat"}, position=position)
    assert (plan.action, plan.exit_quantity, plan.entry_quantity) == ("CLOSE", 10, 0)


def test_flat_when_flat_holds() -> None:
    plan = plan_for({"intent": "flat"})
    assert (plan.action, plan.refused, plan.reason) == ("HOLD", False, "already flat")


def test_a_late_alert_may_close_but_not_open() -> None:
    late = {"stale": True, "stale_reason": "the alert was 5 min late", "intent": "short"}
    assert plan_for(late).action == "HOLD"
    assert plan_for(late).refused
    closing = plan_for(late, position=LONG)
    assert (closing.action, closing.exit_quantity, closing.entry_quantity) == ("CLOSE", 10, 0)


def test_a_halted_desk_sends_nothing_at_all() -> None:
    for intent in ("long", "short", "flat"):
        plan = plan_for({"intent": intent}, position=LONG, desk_state="halted", desk_reason="by hand")
        assert (plan.action, plan.exit_quantity, plan.entry_quantity) == ("HOLD", 0, 0)
        assert plan.refused


def test_a_reducing_desk_closes_but_does_not_enter() -> None:
    reducing = {"desk_state": "reducing", "desk_reason": "daily loss"}
    assert plan_for(**reducing).action == "HOLD"
    assert plan_for({"intent": "short"}, position=LONG, **reducing).action == "CLOSE"


def test_a_source_that_may_not_short_closes_instead() -> None:
    plan = plan_for({"intent": "short", "allow_short": False}, position=LONG)
    assert (plan.action, plan.entry_quantity) == ("CLOSE", 0)


def test_filter_needs_cases_and_an_edge_after_costs() -> None:
    assert "not enough evidence" in plan_for({"policy": "filter"}).reason
    poor = tuple(Level(name, 40, 100) for name in ("desk", "source", "instrument and side"))
    assert "below break-even" in plan_for({"policy": "filter"}, levels=poor).reason
    good = tuple(Level(name, 900, 1000) for name in ("desk", "source", "instrument and side"))
    assert plan_for({"policy": "filter"}, levels=good).action == "BUY"


def test_a_full_position_is_refused_with_the_limit_named() -> None:
    plan = plan_for(position=Decimal(250), open_positions=1)
    assert (plan.action, plan.refused) == ("HOLD", True)
    assert "25 % of equity" in plan.reason


def test_too_many_open_positions_are_refused() -> None:
    assert "positions are open" in plan_for(open_positions=8).reason


def test_no_price_means_no_decision_to_trade() -> None:
    plan = plan_for(price=None)
    assert (plan.action, plan.refused) == ("HOLD", True)


def test_confidence_without_a_record_is_that_of_a_market_without_edge() -> None:
    plan = plan_for()
    assert plan.confidence is not None
    assert plan.confidence.mean == pytest.approx(0.4, abs=0.01)
    assert plan.break_even is not None
    assert plan.break_even > plan.confidence.mean


@given(
    st.sampled_from(["long", "short", "flat"]),
    st.sampled_from(["follow", "filter", "shadow"]),
    st.integers(-300, 300),
    st.sampled_from(["active", "reducing", "halted"]),
    st.booleans(),
)
def test_a_plan_never_adds_to_what_it_must_not(intent, policy, held, state, stale) -> None:
    plan = plan_for(
        {"intent": intent, "policy": policy, "stale": stale, "stale_reason": "late"},
        position=Decimal(held),
        desk_state=state,
        open_positions=1 if held else 0,
    )
    assert plan.entry_quantity >= 0
    assert plan.exit_quantity in (0, abs(held))
    if stale or state != "active" or intent == "flat":
        assert plan.entry_quantity == 0
    if plan.entry_quantity:
        remaining = 0 if plan.exit_quantity else abs(held)
        assert (remaining + plan.entry_quantity) * 100 <= 25_000
    assert (plan.action == "HOLD") == (plan.entry_quantity == 0 and plan.exit_quantity == 0)


def test_desk_rows_serve_as_limits() -> None:
    assert plan_for(limits=Limits.of(Desk())).action == "BUY"
