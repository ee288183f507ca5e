"""Amounts: zero, prices to ticks, quantities to steps. Pure."""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

ZERO: Final = Decimal(0)
PLACES = Decimal("0.0000000001")  # what the ledger's columns hold


def to_step(quantity: Decimal, step: Decimal) -> Decimal:
    """Return `quantity` rounded towards zero to a whole number of steps: never more than was allowed."""
    return (quantity / step).to_integral_value(ROUND_DOWN) * step


def to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """Return `price` rounded to the nearest tick, at least one tick."""
    return max((price / tick).to_integral_value(ROUND_HALF_EVEN) * tick, tick)


def against(price: Decimal, tick: Decimal, side: str) -> Decimal:
    """Return `price` rounded to a tick against the trader: up for a buy, down for a sell."""
    rounding = ROUND_CEILING if side == "buy" else ROUND_FLOOR
    return max((price / tick).to_integral_value(rounding) * tick, tick)


def to_places(value: Decimal) -> Decimal:
    """Return `value` as the database will hold it (10 decimal places)."""
    return value.quantize(PLACES, rounding=ROUND_HALF_EVEN)
