"""What the API answers. Money is decimal text without trailing zeros, times are ISO 8601 in UTC."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from ninja import Field, Schema
from pydantic import BeforeValidator

from algotrendy.text import plain
from brokers.models import Fill, Order
from memory.models import Decision, Outcome
from memory.selectors import known_outcome
from webhooks.models import Alert


def _plain(value: Decimal | str | None) -> str | None:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


def _readable(value: object) -> object:
    return plain(value) if isinstance(value, str) else value


DeskState = Literal["active", "reducing", "halted"]
Money = Annotated[str, BeforeValidator(_plain)]


class FillOut(Schema):
    """One execution. `executed_at` is market time, `recorded_at` wall time."""

    id: int
    order_id: int
    trade_id: int
    symbol: str = Field(alias="instrument.symbol")
    side: str
    quantity: Money
    price: Money
    fee: Money
    venue_trade_id: str
    executed_at: datetime
    recorded_at: datetime


class OrderOut(Schema):
    """One order; `fills` are those recorded so far, oldest first."""

    id: int
    connection: str = Field(alias="connection.name")
    symbol: str = Field(alias="instrument.symbol")
    client_order_id: str
    venue_order_id: str
    role: str
    side: str
    type: str
    state: str
    reason: str
    market: str
    quantity: Money
    filled_quantity: Money
    average_price: Money | None
    limit_price: Money | None
    stop_price: Money | None
    fees: Money
    reduce_only: bool
    parent_id: int | None
    created_at: datetime
    submitted_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None
    fills: list[FillOut]

    @staticmethod
    def resolve_fills(row: Order) -> list[Fill]:
        """Return the fills in the order in which they were recorded."""
        return sorted(row.fills.all(), key=lambda fill: fill.pk)


class OutcomeOut(Schema):
    """How a decision turned out on candles. `result` is win, loss or timeout, empty while it runs.

    For a decision to CLOSE or HOLD it is what was avoided or missed by that: neither won nor lost.
    """

    kind: str
    state: str
    side: str
    result: str
    entry: Money | None
    stop: Money | None
    target: Money | None
    exit_price: Money | None
    exit_at: datetime | None
    return_pct: float | None
    r_multiple: float | None
    trade_id: int | None
    void_reason: str
    known_at: datetime | None


class DecisionOut(Schema):
    """What the agent made of a signal. `confidence` is the probability of target before stop."""

    id: int
    alert_id: int | None
    source: str
    policy: str
    symbol: str = Field(alias="instrument.symbol")
    intent: str
    action: str
    refused: bool
    reason: str
    confidence: float | None
    confidence_low: float | None
    confidence_high: float | None
    break_even: float | None
    price: Money | None
    quantity: Money | None
    stop: Money | None
    target: Money | None
    market: str
    as_of: datetime
    received_at: datetime
    decided_at: datetime
    outcome: OutcomeOut | None

    @staticmethod
    def resolve_alert_id(row: Decision) -> int | None:
        """Return the id of the alert that was decided."""
        alert = getattr(row, "alert", None)
        return alert.pk if alert else None

    @staticmethod
    def resolve_outcome(row: Decision) -> Outcome | None:
        """Return the outcome, if it has one that its market has come to."""
        return known_outcome(row)


class DecisionDetail(DecisionOut):
    """A decision with its evidence and its orders in the order of sending."""

    evidence: dict[str, object]
    orders: list[OrderOut]

    @staticmethod
    def resolve_orders(row: Decision) -> list[Order]:
        """Return the orders this decision led to."""
        return [link.order for link in sorted(row.order_links.all(), key=lambda link: link.leg)]


class AlertOut(Schema):
    """One alert as it is kept."""

    id: int
    source: str = Field(alias="source.slug")
    state: str
    reason: str
    received_at: datetime
    decided_at: datetime | None
    duplicates: int
    symbol: str | None
    intent: str
    parsed: dict[str, object] | None
    decision_id: int | None
    replay_of_id: int | None

    @staticmethod
    def resolve_symbol(row: Alert) -> str | None:
        """Return the instrument's symbol, once it is known."""
        return str(row.instrument.symbol) if row.instrument else None


class AlertDetail(AlertOut):
    """An alert as it came (`body`, less its secret), with its decision and all that followed."""

    body: str
    decision: DecisionDetail | None

    @staticmethod
    def resolve_body(row: Alert) -> str:
        """Return the body as text."""
        return bytes(row.body).decode(errors="replace")


class PositionOut(Schema):
    """A net holding; negative when short. `unrealised_pnl` is at the last price, before fees."""

    connection: str
    symbol: str
    quantity: Money
    average_price: Money
    price: Money
    unrealised_pnl: Money
    realised_pnl: Money
    fees: Money
    trade_id: int | None
    updated_at: datetime


class TradeOut(Schema):
    """A round trip from flat to flat. `pnl` is net of fees; times are market time."""

    id: int
    connection: str = Field(alias="connection.name")
    symbol: str = Field(alias="instrument.symbol")
    side: str
    state: str
    market: str
    quantity: Money
    entry_price: Money
    exit_price: Money | None
    gross_pnl: Money
    fees: Money
    pnl: Money
    opened_at: datetime
    closed_at: datetime | None


class EquityOut(Schema):
    """What a connection is worth now. `day_pnl` counts from 00:00 UTC."""

    connection: str
    mode: str
    currency: str
    equity: Money
    cash: Money
    unrealised_pnl: Money
    day_pnl: Money


class DeskOut(Schema):
    """Whether the desk may trade, why not, and until when."""

    state: str
    reason: str
    until: datetime | None
    changed_at: datetime
    markets: list[str]
    open_positions: int
    waiting_alerts: int


class DeskIn(Schema):
    """A change of the desk's state: active, reducing or halted.

    `allow_exits` says that a halted desk shall let exits leave again: from halted to reducing it is needed with
    scope trade.
    """

    state: DeskState
    reason: Annotated[str, BeforeValidator(_readable)] = Field(
        "", description="For the page and the audit log; what can't be stored of it is left out."
    )
    allow_exits: bool = False


class Problem(Schema):
    """What was wrong with the request."""

    detail: str
