"""The agent's input: one signal, in the desk's words, whoever sent it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brokers.models import Connection
    from market.models import Instrument


@dataclass(frozen=True, slots=True)
class TradeSignal:
    """A request for a position: long, short or flat.

    `key` is unique per signal (one signal, one decision). `received_at` and `good_until` are wall time; an entry
    that has not left by `good_until` expires. `stale` means it may close but not open. `tags` are further numbers
    the sender gave (RSI, confidence …): kept as evidence, never trusted. `hold` is the reason of a signal that
    asks for nothing (its intent is then flat, and nothing is closed).
    """

    key: str
    source: str
    policy: str
    connection: "Connection"
    instrument: "Instrument"
    intent: str
    price: Decimal | None
    quantity: Decimal | None
    sizing: str
    risk_pct: Decimal
    notional: Decimal | None
    allow_short: bool
    stale: bool
    stale_reason: str
    good_until: datetime | None
    received_at: datetime
    tags: Mapping[str, str | float] = field(default_factory=dict)
    hold: str = ""
