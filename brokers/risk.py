"""The desk's limits on an entry. Pure: numbers in, a verdict with its reasons out."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from brokers.money import ZERO, to_step

# The claim checks again, against orders that left meanwhile. Equity moves between the two, and an order clipped
# exactly to its limit must not be denied for that.
TOLERANCE = Decimal("1.02")


class _HasLimits(Protocol):
    max_order_pct: Decimal
    max_position_pct: Decimal
    max_open_positions: int
    max_daily_loss_pct: Decimal


@dataclass(frozen=True, slots=True)
class Limits:
    """The desk's limits: percentages of equity, and a count of positions."""

    max_order_pct: Decimal
    max_position_pct: Decimal
    max_open_positions: int
    max_daily_loss_pct: Decimal

    @classmethod
    def of(cls, desk: _HasLimits) -> "Limits":
        """Return the limits written in the row of the desk."""
        return cls(desk.max_order_pct, desk.max_position_pct, desk.max_open_positions, desk.max_daily_loss_pct)


@dataclass(frozen=True, slots=True)
class Check:
    """One limit held against one order: what was measured, what is allowed, and the sentence for the page."""

    name: str
    ok: bool
    value: float | str
    limit: float | str
    text: str


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """`quantity_allowed` is zero when any check failed; `clipped` when limits left less than was asked."""

    quantity_allowed: Decimal
    checks: tuple[Check, ...]
    clipped: bool = False

    @property
    def ok(self) -> bool:
        """Whether anything may be ordered."""
        return self.quantity_allowed > 0

    @property
    def reason(self) -> str:
        """Why nothing may be ordered: the first failed check, or an empty string."""
        return next((check.text for check in self.checks if not check.ok), "")


def check_entry(
    *,
    desk_state: str,
    limits: Limits,
    equity: Decimal,
    day_pnl: Decimal,
    open_positions: int,
    position_value: Decimal,
    order_value: Decimal,
    quantity: Decimal,
    min_notional: Decimal,
    step: Decimal | None = None,
) -> EntryVerdict:
    """Return how much of `quantity` the limits leave, and every check with its numbers.

    `position_value` is the value (never negative) already held in this instrument and `open_positions` the count
    of instruments held, this one included. `order_value` is the value of the whole `quantity`. Values are in
    the connection's currency. With `step` the allowed quantity is rounded down to it.
    """
    unit = order_value / quantity if quantity > 0 else ZERO
    sizes = _sizes(limits, equity, position_value, order_value)
    room = min(sizes.order_limit, sizes.position_limit - position_value)
    allowed = min(quantity, max(room, ZERO) / unit) if unit > 0 else ZERO
    allowed = to_step(allowed, step) if step else allowed
    checks = (
        _desk(desk_state),
        _daily_loss(limits, equity, day_pnl),
        _open_positions(limits, open_positions, position_value),
        _order_size(limits, sizes),
        _position_size(limits, sizes),
        _min_notional(allowed * unit, min_notional),
    )
    if not all(check.ok for check in checks):
        return EntryVerdict(ZERO, checks)
    return EntryVerdict(allowed, checks, clipped=allowed < quantity)


def breaches_daily_loss(limits: Limits, equity: Decimal, day_pnl: Decimal) -> bool:
    """Return whether the loss since 00:00 UTC has reached the limit (% of the equity then)."""
    return not _daily_loss(limits, equity, day_pnl).ok


def refusal_at_claim(
    *,
    limits: Limits,
    equity: Decimal,
    day_pnl: Decimal,
    others_held: int,
    committed_value: Decimal,
    order_value: Decimal,
) -> str:
    """Return why an entry that was within limits when planned may not leave now, or an empty string.

    `others_held` counts other instruments held or being entered; `committed_value` is what is held or being
    entered in this one, without this order.
    """
    if breaches_daily_loss(limits, equity, day_pnl):
        return _daily_loss(limits, equity, day_pnl).text
    if others_held >= limits.max_open_positions:
        return f"{others_held} positions are open or being opened, at most {limits.max_open_positions} may be"
    sizes = _sizes(limits, equity, committed_value, order_value, TOLERANCE)
    if sizes.order_exceeds:
        return f"order of {sizes.order:,.2f} is above {limits.max_order_pct:g} % of equity"
    if sizes.position_exceeds:
        return f"position would be {sizes.position:,.2f}, above {limits.max_position_pct:g} % of equity"
    return ""


class _Sizes(NamedTuple):
    """An order and the position it adds to, beside the most that each may be worth."""

    held: Decimal
    order: Decimal
    order_limit: Decimal
    position_limit: Decimal

    @property
    def position(self) -> Decimal:
        return self.held + self.order

    @property
    def order_exceeds(self) -> bool:
        return self.order > self.order_limit

    @property
    def position_exceeds(self) -> bool:
        return self.position > self.position_limit


def _sizes(
    limits: Limits, equity: Decimal, held: Decimal, order: Decimal, tolerance: Decimal = Decimal(1)
) -> _Sizes:
    """Return the sizes and their limits; `tolerance` is what an order may be of its limit."""
    allowed = tolerance * equity
    return _Sizes(held, order, allowed * limits.max_order_pct / 100, allowed * limits.max_position_pct / 100)


def _desk(state: str) -> Check:
    ok = state == "active"
    text = "desk is active" if ok else f"desk is {state}: no entries"
    return Check("desk_state", ok, state, "active", text)


def _daily_loss(limits: Limits, equity: Decimal, day_pnl: Decimal) -> Check:
    start = equity - day_pnl
    loss = max(-day_pnl, ZERO) / start * 100 if start > 0 else Decimal(100)
    ok = loss < limits.max_daily_loss_pct
    text = f"loss of the day is {loss:,.2f} % of {limits.max_daily_loss_pct:g} % allowed"
    return Check("daily_loss", ok, round(float(loss), 4), float(limits.max_daily_loss_pct), text)


def _open_positions(limits: Limits, count: int, position_value: Decimal) -> Check:
    most = limits.max_open_positions
    ok = count < most or position_value > 0
    return Check("open_positions", ok, count, most, f"{count} of {most} positions are open")


def _order_size(limits: Limits, sizes: _Sizes) -> Check:
    value, most = sizes.order, sizes.order_limit
    text = f"order of {value:,.2f} is within {limits.max_order_pct:g} % of equity"
    if sizes.order_exceeds:
        text = f"order was clipped from {value:,.2f} to {most:,.2f}, {limits.max_order_pct:g} % of equity"
    return Check("order_size", most > 0, round(float(value), 2), round(float(most), 2), text)


def _position_size(limits: Limits, sizes: _Sizes) -> Check:
    held, value, most = sizes.held, sizes.position, sizes.position_limit
    # What is left of the order by its own limit: only what exceeds even then was cut by this one.
    left = held + min(sizes.order, sizes.order_limit)
    text = f"position of {left:,.2f} is within {limits.max_position_pct:g} % of equity"
    if held >= most:
        text = f"position of {held:,.2f} already takes {limits.max_position_pct:g} % of equity ({most:,.2f})"
    elif left > most:
        text = f"position was clipped from {left:,.2f} to {most:,.2f}, {limits.max_position_pct:g} % of equity"
    return Check("position_size", held < most, round(float(value), 2), round(float(most), 2), text)


def _min_notional(value: Decimal, least: Decimal) -> Check:
    ok = value >= least and value > 0
    text = f"order of {value:,.2f} is {'at least' if ok else 'below'} the venue's minimum of {least:,.2f}"
    return Check("min_notional", ok, round(float(value), 2), round(float(least), 2), text)
