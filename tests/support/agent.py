"""A signal, a situation and a plan for it: what tests of the agent start from and change a little."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from brokers.models import Connection
from brokers.risk import Limits
from market.models import Instrument
from memory.agent import DecisionContext, Plan, make_plan
from memory.confidence import Level
from memory.trade_signal import TradeSignal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITS = Limits(Decimal(5), Decimal(25), 8, Decimal(5))
#: Limits that clip nothing of the size of a plan.
WIDE = Limits(Decimal(100), Decimal(100), 8, Decimal(5))
SIGNAL = TradeSignal(
    key="alert-1",
    source="ema",
    policy="follow",
    connection=Connection(name="paper"),
    instrument=Instrument(
        symbol="BTCUSDT", tick_size=Decimal("0.01"), step_size=Decimal("0.001"), min_notional=Decimal(5)
    ),
    intent="long",
    price=Decimal(100),
    quantity=None,
    sizing="risk",
    risk_pct=Decimal(1),
    notional=None,
    allow_short=True,
    stale=False,
    stale_reason="",
    good_until=None,
    received_at=NOON,
)
SITUATION = DecisionContext(
    price=Decimal(100),
    sigma=0.001,
    cost=0.0014,
    position=Decimal(0),
    average_price=Decimal(0),
    desk_state="active",
    desk_reason="",
    limits=LIMITS,
    equity=Decimal(100_000),
    day_pnl=Decimal(0),
    open_positions=0,
    levels=tuple(Level(name, 0, 0) for name in ("desk", "source", "instrument and side")),
)


def plan_for(signal: dict[str, Any] | None = None, **situation: Any) -> Plan:
    """Return the plan for the signal in the situation, both changed as said."""
    return make_plan(replace(SIGNAL, **(signal or {})), replace(SITUATION, **situation))


def signal_now(connection: Connection, instrument: Instrument, **changes: Any) -> TradeSignal:
    """Return the signal as one that comes now, for an account and an instrument in the database."""
    now = timezone.now()
    known = {"connection": connection, "instrument": instrument, "received_at": now}
    return replace(SIGNAL, **known, good_until=now + timedelta(seconds=60), **changes)
