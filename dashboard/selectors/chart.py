"""What the charts draw. Every answer is bounded, whatever lies in the tables."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypedDict

from django.db import connection as database
from django.utils import timezone

from brokers.ledger.thinning import usual_spacing
from brokers.models import Connection, Fill, Order, Position
from dashboard.formatting import price, quantity
from market.bars import bar_start
from market.models import Instrument, Quote
from market.selectors import closed_candles, market_now
from memory.models import Decision

MAX_CANDLES = 1500
DEFAULT_CANDLES = 360
MAX_MARKERS = 300
# Decisions looked at, newest first, for those that fall into the window: ids and market time may disagree.
RECENT_DECISIONS = 600
EQUITY_POINTS = 400
DEFAULT_TIMEFRAME = 300

_EQUITY = """
    SELECT extract(epoch FROM mark.at)::float8, mark.equity::float8
    FROM generate_series(0, %(points)s) AS step
    CROSS JOIN LATERAL (
        SELECT at, equity FROM brokers_equitymark
        WHERE connection_id = %(connection)s
          AND at <= %(start)s + (%(end)s - %(start)s) * (step::float8 / %(points)s) AND at >= %(start)s
        ORDER BY at DESC LIMIT 1
    ) AS mark
    GROUP BY 1, 2 ORDER BY 1
"""


class Marker(TypedDict):
    """Something that happened at a market time, with the page that tells its story; a fill has its price."""

    id: str
    time: int
    price: float | None
    kind: str
    action: str
    text: str
    url: str


class PriceLine(TypedDict):
    """A price that matters now: entry, stop or target of what is held."""

    id: str
    price: float
    kind: str
    text: str
    url: str


class Candles(TypedDict):
    """Candles as `[open_time, open, high, low, close, volume]`, oldest first; times in UTC seconds.

    `price` is the market's last, `forming` the open time of the candle that it forms: None where it closes one.
    """

    symbol: str
    timeframe: int
    tick: float
    precision: int
    kind: str
    as_of: int | None
    price: float | None
    forming: int | None
    candles: list[list[float]]


def instrument_of(symbol: str) -> Instrument | None:
    """Return an instrument with its quote, or None."""
    return Instrument.objects.select_related("quote_now").filter(symbol=symbol.upper()[:32]).first()


def chart_instruments() -> list[Instrument]:
    """Return the instruments that have a price, by symbol; at most 40."""
    rows = Instrument.objects.filter(quote_now__isnull=False).select_related("quote_now")
    return list(rows.order_by("symbol")[:40])


def quote_of(instrument: Instrument) -> Quote | None:
    """Return the last price of an instrument fetched with it."""
    return getattr(instrument, "quote_now", None)


def candles(
    instrument: Instrument,
    *,
    timeframe: int | None = None,
    until: datetime | None = None,
    count: int | None = None,
) -> Candles:
    """Return the last candles known at market time `until`, by default and at most the market's own now."""
    quote = quote_of(instrument)
    bar = timeframe or (quote.timeframe if quote else DEFAULT_TIMEFRAME)
    now = market_now(instrument)
    as_of = min(until or (quote.market_time if quote else now), now)
    wanted = min(max(count or DEFAULT_CANDLES, 1), MAX_CANDLES)
    bars = closed_candles(instrument.pk, bar, until=as_of, count=wanted)
    columns = (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
    rows = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    exponent = instrument.tick_size.normalize().as_tuple().exponent
    return {
        "symbol": instrument.symbol,
        "timeframe": bar,
        "tick": float(instrument.tick_size),
        "precision": max(0, -exponent) if isinstance(exponent, int) else 2,
        "kind": quote.kind if quote else "",
        "as_of": int(as_of.timestamp()),
        "price": float(quote.price) if quote and not until else None,
        "forming": _forming(quote, bar) if quote and not until else None,
        "candles": rows,
    }


def _forming(quote: Quote, bar: int) -> int | None:
    start = bar_start(quote.market_time, bar)
    return int(start.timestamp()) if quote.market_time > start else None


def markers(instrument: Instrument, *, start: datetime, end: datetime, limit: int = MAX_MARKERS) -> list[Marker]:
    """Return decisions and fills with `start <= market time <= end`, oldest first; the newest `limit` of each.

    None is later than the market's own now: a replay that was set back has decisions ahead of it.
    """
    end = min(end, market_now(instrument))
    rows = [*_decisions(instrument, start, end, limit), *_fills(instrument, start, end, limit)]
    return sorted(rows, key=lambda marker: marker["time"])


def _decisions(instrument: Instrument, start: datetime, end: datetime, limit: int) -> list[Marker]:
    rows = (
        Decision.objects.filter(instrument=instrument)
        .order_by("-id")
        .only("id", "action", "as_of", "refused", "confidence", "reason")[:RECENT_DECISIONS]
    )
    inside = [row for row in rows if start <= row.as_of <= end][:limit]
    return [
        Marker(
            id=f"d{row.pk}",
            time=int(row.as_of.timestamp()),
            price=None,
            kind="refused" if row.refused else "decision",
            action=row.action,
            text=f"{row.action} #{row.pk}: {row.reason}",
            url=f"/decisions/{row.pk}",
        )
        for row in inside
    ]


def _fills(instrument: Instrument, start: datetime, end: datetime, limit: int) -> list[Marker]:
    rows = (
        Fill.objects.filter(instrument=instrument, executed_at__gte=start, executed_at__lte=end)
        .select_related("order")
        .order_by("-executed_at")[:limit]
    )
    return [
        Marker(
            id=f"f{row.pk}",
            time=int(row.executed_at.timestamp()),
            price=float(row.price),
            kind="fill",
            action=row.side,
            text=_in_words(row, instrument),
            url=f"/orders/{row.order_id}",
        )
        for row in rows
    ]


def _in_words(fill: Fill, instrument: Instrument) -> str:
    amount = f"{quantity(fill.quantity, instrument)} @ {price(fill.price, instrument)}"
    return f"{fill.order.get_role_display()} {amount}"


def price_lines(instrument: Instrument) -> list[PriceLine]:
    """Return entry, stop and target of what is held now."""
    lines: list[PriceLine] = []
    for held in Position.objects.filter(instrument=instrument).exclude(quantity=0)[:10]:
        side = "long" if held.quantity > 0 else "short"
        url = f"/trades/{held.trade_id}" if held.trade_id else "/trades"
        text = f"{side} {quantity(abs(held.quantity), instrument)}"
        lines.append(
            {"id": f"p{held.pk}", "price": float(held.average_price), "kind": "entry", "text": text, "url": url}
        )
    for order in _working_exits(instrument):
        price = order.stop_price or order.limit_price or Decimal(0)
        lines.append(
            {
                "id": f"o{order.pk}",
                "price": float(price),
                "kind": order.role,
                "text": order.role,
                "url": f"/orders/{order.pk}",
            }
        )
    return lines


def _working_exits(instrument: Instrument) -> list[Order]:
    rows = Order.objects.filter(
        instrument=instrument, role__in=[Order.Role.STOP, Order.Role.TARGET], state__in=Order.AT_VENUE
    )
    return list(rows.order_by("-id")[:20])


def live_chart(instrument: Instrument) -> dict[str, object]:
    """Return what may have changed on an open chart: the newest candles, their markers, and the price lines."""
    newest = candles(instrument, count=5)
    as_of = datetime.fromtimestamp(newest["as_of"] or 0, UTC)
    start = as_of - timedelta(seconds=newest["timeframe"] * 30)
    return {
        **newest,
        "markers": markers(instrument, start=start, end=as_of + timedelta(seconds=newest["timeframe"]), limit=40),
        "lines": price_lines(instrument),
    }


class EquityCurve(NamedTuple):
    """Marks of equity as (UTC seconds, equity), oldest first, and the stretches without any as (from, to).

    `spacing`: the seconds between two points on which the curve has a hole.
    """

    points: list[tuple[float, float]]
    holes: list[tuple[float, float]]
    spacing: float


def equity_curve(account: Connection, *, start: datetime, end: datetime) -> EquityCurve:
    """Return at most 401 marks of equity between two wall times.

    They are spread evenly from the first mark in the window on: a young desk shows all it has.
    """
    marks = account.equity_marks.filter(at__gte=start, at__lte=end)
    start = marks.order_by("at").values_list("at", flat=True).first() or start
    values: dict[str, int | datetime] = {
        "connection": account.pk,
        "start": start,
        "end": end,
        "points": EQUITY_POINTS,
    }
    with database.cursor() as cursor:
        cursor.execute(_EQUITY, values)
        rows: list[tuple[float, float]] = cursor.fetchall()
    step = (end - start).total_seconds() / EQUITY_POINTS
    now = timezone.now()
    return EquityCurve(rows, _equity_holes(rows, step, now), step + usual_spacing(now, now))


def _equity_holes(rows: Sequence[tuple[float, float]], step: float, now: datetime) -> list[tuple[float, float]]:
    """Return the pairs of points between which marks are missing: further apart than points and marks are."""
    times = [row[0] for row in rows]
    return [
        (before, after)
        for before, after in itertools.pairwise(times)
        if after - before > step + usual_spacing(datetime.fromtimestamp(before, UTC), now)
    ]
