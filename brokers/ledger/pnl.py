"""Positions and profit from executions. Pure `Decimal` arithmetic, average-cost method.

Quantities of positions are signed (negative when short), quantities of executions are positive. Average prices are
held to 10 places, as the database holds them; nothing else is rounded.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from brokers.money import ZERO, to_places


@dataclass(frozen=True, slots=True)
class Deal:
    """What one execution did: `quantity` positive, `fee` in the account's currency."""

    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO

    @property
    def signed(self) -> Decimal:
        """The change of the position."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def cash(self) -> Decimal:
        """The change of the cash, fee included."""
        return -self.signed * self.price - self.fee


@dataclass(frozen=True, slots=True)
class Holding:
    """A net position: what is held, at what average price, and what was realised before fees."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    realised_pnl: Decimal = ZERO
    fees: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Figures:
    """A trade's numbers: both sides of it, and the profit of what was closed so far."""

    quantity: Decimal
    entry_price: Decimal
    exit_quantity: Decimal
    exit_price: Decimal | None
    gross_pnl: Decimal
    fees: Decimal

    @property
    def pnl(self) -> Decimal:
        """Profit net of all fees paid so far."""
        return self.gross_pnl - self.fees


def split(held: Decimal, deal: Deal) -> tuple[Deal | None, Deal | None]:
    """Return the part of `deal` that closes the position `held` and the part that opens or adds to one.

    The fee is shared in proportion; the parts' fees sum to it exactly.
    """
    if held * deal.signed >= 0:
        return None, deal
    if deal.quantity <= abs(held):
        return deal, None
    fee = to_places(deal.fee * abs(held) / deal.quantity)
    closing = replace(deal, quantity=abs(held), fee=fee)
    return closing, replace(deal, quantity=deal.quantity - abs(held), fee=deal.fee - fee)


def apply(holding: Holding, deal: Deal) -> Holding:
    """Return the holding after `deal`; one that crosses zero closes first and opens with the rest."""
    closing, opening = split(holding.quantity, deal)
    if closing is not None:
        holding = _close(holding, closing)
    return _open(holding, opening) if opening is not None else holding


def figures(side: str, deals: Iterable[Deal]) -> Figures:
    """Return the numbers of a trade on `side` ("long" or "short") from all its executions.

    Closing profit is what the exits brought less what those units cost on average; for a closed trade that is
    exactly proceeds less cost.
    """
    entering = "buy" if side == "long" else "sell"
    quantity = cost = exited = proceeds = fees = ZERO
    for deal in deals:
        fees += deal.fee
        if deal.side == entering:
            quantity += deal.quantity
            cost += deal.quantity * deal.price
        else:
            exited += deal.quantity
            proceeds += deal.quantity * deal.price
    gain = proceeds - (cost if exited == quantity else cost * exited / quantity)
    return Figures(
        quantity=quantity,
        entry_price=to_places(cost / quantity),
        exit_quantity=exited,
        exit_price=to_places(proceeds / exited) if exited else None,
        gross_pnl=to_places(gain if side == "long" else -gain),
        fees=fees,
    )


def average(deals: Iterable[Deal]) -> tuple[Decimal, Decimal | None, Decimal]:
    """Return total quantity, average price (None without any) and fees of an order's executions."""
    quantity = value = fees = ZERO
    for deal in deals:
        quantity += deal.quantity
        value += deal.quantity * deal.price
        fees += deal.fee
    return quantity, to_places(value / quantity) if quantity else None, fees


def _close(holding: Holding, deal: Deal) -> Holding:
    left = holding.quantity + deal.signed
    return Holding(
        quantity=left,
        average_price=holding.average_price if left else ZERO,
        realised_pnl=holding.realised_pnl - deal.signed * (deal.price - holding.average_price),
        fees=holding.fees + deal.fee,
    )


def _open(holding: Holding, deal: Deal) -> Holding:
    quantity = holding.quantity + deal.signed
    value = holding.quantity * holding.average_price + deal.signed * deal.price
    return replace(
        holding, quantity=quantity, average_price=to_places(value / quantity), fees=holding.fees + deal.fee
    )
