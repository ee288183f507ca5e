"""Predictions of a version on the price chart. Bounded, and nothing later than market time."""

from datetime import UTC, datetime, timedelta

from dashboard.selectors import chart
from market.models import Instrument
from mlmodels.models import ModelVersion, Prediction

BARS = 400
# Bars after the last prediction that are drawn too: what became of it.
AFTER = 24
RECENT_BARS = 20


def instruments_of(version: ModelVersion) -> list[Instrument]:
    """Return the instruments that a version scored last, by symbol. Two queries."""
    last = _last_open(version)
    if last is None:
        return []
    since = last - timedelta(seconds=version.timeframe * RECENT_BARS)
    scored = Prediction.objects.filter(version=version, open_time__gte=since).values("instrument_id")
    return list(Instrument.objects.filter(pk__in=scored).select_related("quote_now").order_by("symbol")[:40])


def _last_open(version: ModelVersion, instrument: Instrument | None = None) -> datetime | None:
    rows = Prediction.objects.filter(version=version)
    if instrument is not None:
        rows = rows.filter(instrument=instrument)
    return rows.order_by("-open_time").values_list("open_time", flat=True).first()


def drawn(version: ModelVersion, instrument: Instrument, bars: int = BARS) -> dict[str, object]:
    """Return the last candles of an instrument and what the version predicted on them.

    A prediction is `[open_time, probability, side, label]`; label is yes, no, void, or open while it is not known.
    """
    until = _until(version, instrument)
    candles = chart.candles(instrument, timeframe=version.timeframe, until=until, count=bars)
    rows = candles["candles"]
    rows_predicted = _predictions(version, instrument, int(rows[0][0]), int(rows[-1][0])) if rows else []
    return {**candles, "threshold": version.threshold, "predictions": rows_predicted}


def _until(version: ModelVersion, instrument: Instrument) -> datetime | None:
    """Return the market time to draw up to: a while after the last prediction, never later than now."""
    last, quote = _last_open(version, instrument), chart.quote_of(instrument)
    if last is None:
        return None
    end = last + timedelta(seconds=version.timeframe * (1 + AFTER))
    return min(end, quote.market_time) if quote else end


def _predictions(version: ModelVersion, instrument: Instrument, first: int, last: int) -> list[list[object]]:
    rows = Prediction.objects.filter(
        version=version,
        instrument=instrument,
        timeframe=version.timeframe,
        open_time__gte=datetime.fromtimestamp(first, UTC),
        open_time__lte=datetime.fromtimestamp(last, UTC),
    ).exclude(side=Prediction.Side.NONE)
    return [
        [int(row.open_time.timestamp()), round(row.probability, 4), row.side, _label(row)]
        for row in rows.only("open_time", "probability", "side", "label", "void").order_by("open_time")
    ]


def _label(row: Prediction) -> str:
    if row.void:
        return "void"
    return {True: "yes", False: "no", None: "open"}[row.label]
