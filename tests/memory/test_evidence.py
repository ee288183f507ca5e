"""The evidence of a decision is stored as JSON, and reads the same for the same decision for good."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.risk import Check
from market.models import Quote
from memory import prediction_evidence
from memory.agent import Plan
from memory.barriers import Barriers
from memory.confidence import Confidence, Level
from memory.evidence_builder import build
from memory.intents import Action, Intent
from mlmodels.inference.values import LatestPrediction
from tests.support import agent
from tests.support.agent import NOON

SIGNAL = replace(agent.SIGNAL, price=Decimal("100.50"), tags={"rsi": 31.5, "comment": "EMA"})
CONTEXT = replace(
    agent.SITUATION,
    price=Decimal("100.00"),
    position=Decimal("-1E+1"),
    average_price=Decimal("99.5"),
    day_pnl=Decimal("-12.30"),
    open_positions=2,
    levels=(Level("desk", 30, 60), Level("source", 12, 20)),
    prediction=LatestPrediction("reversal-5m-real", "v7", NOON, 0.37, "trough"),
)
PLAN = Plan(
    action=Action.BUY, reason="follows the alert", side=Intent.LONG, entry_quantity=Decimal("49.90"),
    wanted_quantity=Decimal(50), barriers=Barriers(Decimal(100), Decimal("98.00"), Decimal(103), 0.02, 0.03),
    confidence=Confidence(0.45, 0.4, 0.5, (0.44, 0.45)), base=0.4, break_even=0.428, sizing="1 % of equity",
    checks=(Check("order_size", True, 4990.0, 5000.0, "in"), Check("desk_state", False, "active", "active", "")),
    notes=("volatility unknown",),
)  # fmt: skip
QUOTE = Quote(price=Decimal("100.0000000000"), market_time=NOON, kind="simulated", timeframe=300)
STORED = {
    "base": {"mean": 0.4, "text": "a market without edge: stop / (stop + target)"},
    "levels": [
        {"name": "desk", "wins": 30, "cases": 60, "mean": 0.44},
        {"name": "source", "wins": 12, "cases": 20, "mean": 0.45},
    ],
    "confidence": 0.45,
    "low": 0.4,
    "high": 0.5,
    "break_even": 0.428,
    "volatility": 0.001,
    "quote": {"price": "100.0000000000", "market_time": "2026-01-01T12:00:00+00:00", "kind": "simulated"},
    "position": {"quantity": "-10", "average_price": "99.5"},
    "desk": {"state": "active", "equity": "100000", "day_pnl": "-12.30", "open_positions": 2},
    "checks": [
        {"name": "order_size", "ok": True, "value": "4990.0", "limit": "5000.0", "text": "in"},
        {"name": "desk_state", "ok": False, "value": "active", "limit": "active", "text": ""},
    ],
    "notes": ["volatility unknown"],
    "signal": {"rsi": 31.5, "comment": "EMA", "price": "100.50"},
    "prediction": {
        "version": "v7",
        "family": "reversal-5m-real",
        "probability": 0.37,
        "side": "trough",
        "candidate": True,
        "stance": "supports",
        "open_time": "2026-01-01T12:00:00+00:00",
        "text": "a trough with 37%: supports long",
    },
    "sizing": {
        "method": "risk",
        "wanted": "50",
        "allowed": "49.90",
        "stop_distance": "2.00",
        "text": "1 % of equity",
    },
}


def test_the_evidence_of_a_full_decision_is_stored_byte_for_byte() -> None:
    assert json.dumps(build(SIGNAL, PLAN, CONTEXT, QUOTE)) == json.dumps(STORED)


def test_without_price_and_plan_only_what_is_known_is_stored() -> None:
    evidence = build(
        replace(SIGNAL, price=None, tags={}),
        Plan(action=Action.HOLD, reason="no price for this instrument"),
        replace(CONTEXT, price=None, prediction=None),
        None,
    )
    assert (evidence["quote"], evidence["signal"], evidence["levels"], evidence["checks"]) == (None, {}, [], [])
    assert (evidence["base"]["mean"], evidence["confidence"]) == (0.5, 0.5)
    assert (evidence["low"], evidence["high"]) == (0.0, 1.0)
    assert not {"sizing", "prediction"} & set(evidence)


def test_without_price_and_plan_what_is_held_and_the_desk_are_stored_all_the_same() -> None:
    evidence = build(
        replace(SIGNAL, price=None), Plan(Action.HOLD, "no price"), replace(CONTEXT, price=None), None
    )
    assert evidence["position"] == {"quantity": "-10", "average_price": "99.5"}
    assert evidence["signal"] == {"rsi": 31.5, "comment": "EMA"}
    assert (evidence["break_even"], evidence["notes"]) == (None, [])


def test_a_base_without_confidence_stands_for_it_with_nothing_known_around_it() -> None:
    evidence = build(SIGNAL, replace(PLAN, confidence=None), CONTEXT, QUOTE)
    assert (evidence["base"]["mean"], evidence["confidence"]) == (0.4, 0.4)
    assert (evidence["low"], evidence["high"], evidence["levels"]) == (0.0, 1.0, [])


@pytest.mark.parametrize("gone", [{"sizing": ""}, {"barriers": None}])
def test_a_size_is_stored_only_with_the_stop_that_it_rests_on(gone) -> None:
    assert "sizing" not in build(SIGNAL, replace(PLAN, **gone), CONTEXT, QUOTE)


def test_the_distance_to_the_stop_is_positive_for_a_short_too() -> None:
    short = Barriers(Decimal(100), Decimal("102.00"), Decimal(97), 0.02, 0.03)
    evidence = build(SIGNAL, replace(PLAN, side=Intent.SHORT, barriers=short), CONTEXT, QUOTE)
    assert evidence["sizing"]["stop_distance"] == "2.00"
    assert evidence["prediction"]["stance"] == "opposes"


@pytest.mark.parametrize(
    ("predicted", "side", "stance", "text"),
    [
        ("peak", "long", "opposes", "a peak with 37%: opposes long"),
        ("peak", "short", "supports", "a peak with 37%: supports short"),
        ("trough", "long", "supports", "a trough with 37%: supports long"),
        ("trough", "short", "opposes", "a trough with 37%: opposes short"),
        ("peak", "flat", "silent", "a peak with 37%"),
        ("none", "long", "silent", "no move that could be reversed"),
    ],
)
def test_a_prediction_supports_opposes_or_is_silent_about_a_side(predicted, side, stance, text) -> None:
    evidence = prediction_evidence.evidence(LatestPrediction("f", "v7", NOON, 0.37, predicted), side)
    assert evidence == {
        "version": "v7",
        "family": "f",
        "probability": 0.37,
        "side": predicted,
        "candidate": predicted != "none",
        "stance": stance,
        "open_time": "2026-01-01T12:00:00+00:00",
        "text": text,
    }


def test_no_prediction_has_its_reason_and_no_number() -> None:
    silent = prediction_evidence.evidence(LatestPrediction("f", inactive_reason="no model yet"), "long")
    assert (silent["probability"], silent["open_time"], silent["text"]) == (None, None, "no model yet")
    assert (silent["version"], silent["candidate"], silent["stance"]) == ("", False, "silent")
