"""What brokers receive from the market below. Quick, and never in the feed's way."""

import logging
from datetime import datetime

from django.db import DatabaseError

from algotrendy.events import nudge
from brokers.task_names import MATCH

logger = logging.getLogger(__name__)


def match_soon(instrument_id: int, **_: object) -> None:
    """Nudge local venues about a new candle, if any of their orders waits for this instrument."""
    from brokers.venues import registry

    try:
        if any(venue.has_work(instrument_id) for venue in registry.local_venues()):
            nudge(MATCH, instrument_id)
    except DatabaseError as error:
        logger.warning("waiting orders of instrument %s are left to the sweep: %s", instrument_id, error)


def forbid_switch_while_in_use(instrument_id: int, **_: object) -> None:
    """Raise FeedBusy while an instrument is held or has open orders: its price would jump to another market's."""
    from django.db.models import Exists

    from brokers.models import Order, Position
    from brokers.orders.states import OPEN
    from market.models import Instrument
    from market.services import FeedBusy

    # One statement: a fill that ends the order and opens the position is seen before or after, not in between.
    positions = Position.objects.filter(instrument_id=instrument_id).exclude(quantity=0)
    orders = Order.objects.filter(instrument_id=instrument_id, state__in=OPEN)
    rows = Instrument.objects.annotate(held=Exists(positions), ordered=Exists(orders))
    symbol, held, ordered = rows.values_list("symbol", "held", "ordered").get(pk=instrument_id)
    if held or ordered:
        what = "an open position" if held else "an order that is not finished"
        raise FeedBusy(f"{symbol} has {what}; `./mem close {symbol}` ends it, then switch again")


def candles_in_use(instrument_id: int, **_: object) -> datetime | None:
    """Return since when an instrument is held or has had open orders: a venue may still match these candles."""
    from brokers.models import Order, Trade
    from brokers.orders.states import OPEN

    opened = Trade.objects.filter(instrument_id=instrument_id, state=Trade.State.OPEN).order_by("opened_at")
    ordered = Order.objects.filter(instrument_id=instrument_id, state__in=OPEN).order_by("created_at")
    moments = [*opened.values_list("opened_at", flat=True)[:1], *ordered.values_list("created_at", flat=True)[:1]]
    return min(moments, default=None)
