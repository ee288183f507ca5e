"""What a decision must reckon with beyond the ledger: orders still on their way, and the cost of a round trip."""

from decimal import Decimal

from django.db.models import Case, DecimalField, F, Sum, When

from brokers import selectors
from brokers.models import Connection, Order
from brokers.states import OPEN

ZERO = Decimal(0)
BASIS_POINT = Decimal("0.0001")
ON_THEIR_WAY = (Order.Role.ENTRY, Order.Role.EXIT)


def projected_position(connection_id: int, instrument_id: int) -> Decimal:
    """Return the signed quantity that will be held once all entries and exits on their way are filled.

    Two alerts may come faster than one fill: the second must not see the position of before the first.
    """
    held = selectors.position(connection_id, instrument_id)
    remaining = F("quantity") - F("filled_quantity")
    signed = Case(When(side="buy", then=remaining), default=-remaining, output_field=DecimalField())
    coming = Order.objects.filter(
        connection_id=connection_id, instrument_id=instrument_id, state__in=OPEN, role__in=ON_THEIR_WAY
    ).aggregate(total=Sum(signed))["total"]
    return (held.quantity if held else ZERO) + (coming or ZERO)


def round_trip_cost(connection: Connection) -> Decimal:
    """Return fees, spread and slippage of one entry and one exit as a fraction of the value traded."""
    told = connection.settings
    one_way = (
        Decimal(str(told.get("fee_bps", 5)))
        + Decimal(str(told.get("spread_bps", 2))) / 2
        + Decimal(str(told.get("slippage_bps", 1)))
    )
    return 2 * one_way * BASIS_POINT
