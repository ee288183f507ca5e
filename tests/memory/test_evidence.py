"""The evidence of a decision is stored as JSON, and reads the same for the same decision for good."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from brokers.models import Connection
from brokers.risk import Check, Limits
from market.models import Instrument, Quote
from memory.agent import DecisionContext, Plan
from memory.barriers import Barriers
from memory.confidence import Confidence, Level
from memory.evidence_builder import build
from memory.intents import Action, Intent
from memory.trade_signal import TradeSignal
from mlmodels.inference.values import LatestPrediction

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIGNAL = TradeSignal(
    key="alert-1", source="ema", policy="follow", connection=Connection(name="paper"),
    instrument=Instrument(symbol="BTCUSDT"), intent="long", price=Decimal("100.50"), quantity=None, sizing="risk",
    risk_pct=Decimal(1), notional=None, allow_short=True, stale=False, stale_reason="", good_until=None,
    received_at=NOON, tags={"rsi": 31.5, "comment": "EMA"},
)  # fmt: skip
CONTEXT = DecisionContext(
    price=Decimal("100.00"), sigma=0.001, cost=0.0014, position=Decimal("-1E+1"), average_price=Decimal("99.5"),
    desk_state="active", desk_reason="", limits=Limits(Decimal(5), Decimal(25), 8, Decimal(5)),
    equity=Decimal(100_000), day_pnl=Decimal("-12.30"), open_positions=2,
    levels=(Level("desk", 30, 60), Level("source", 12, 20)),
    prediction=LatestPrediction("reversal-5m-real", "v7", NOON, 0.37, "trough"),
)  # fmt: skip
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
