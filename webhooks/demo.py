"""The demo: a strategy (EMA 9 crosses EMA 21) on simulated candles that posts alerts shaped like TradingView's.

It uses the real webhook and nothing else of the desk. Each cross is posted once, by an id made of its bar. A new
demo begins with the newest cross of each instrument, so that a fresh desk comes to life at once.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import numpy as np
import numpy.typing as npt
from django.utils import timezone

from algotrendy.isolation.rows import each
from market import selectors as market
from market.indicators import talib
from market.models import Feed, Instrument, Quote
from webhooks import addresses
from webhooks.door.idempotency import explicit_key
from webhooks.models import Source
from webhooks.services import create_demo_source, demo_token

__all__ = ["create_demo_source", "post_crosses"]

logger = logging.getLogger(__name__)

WORK, POST = "webhooks.demo", "webhooks.demo_post"  # names on the page Health
FAST, SLOW = 9, 21  # bars
BARS = 240  # enough for the averages to forget where they began
FRESH_BARS = 6  # an older cross is only posted to begin with
TIMEOUT = 3.0  # seconds, as TradingView's


@dataclass(frozen=True, slots=True)
class Cross:
    """One cross of the averages. `bar` is the open time of its bar; `age` counts bars since."""

    instrument: Instrument
    bar: int
    timeframe: int
    is_up: bool
    close: float
    age: int

    @property
    def event_id(self) -> str:
        """The same for the same cross, however often it is computed."""
        return f"demo-{self.instrument.symbol}-{self.bar}"


def post_crosses() -> int:
    """Post the crosses that were not posted yet; return how many alerts were accepted."""
    source = Source.objects.filter(is_demo=True, revoked_at=None).first()
    if source is None:
        return 0
    crosses = list(_unposted(source))
    if not crosses:
        return 0
    url = addresses.webhook_url(demo_token(), addresses.local_url())
    with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
        posted = each(POST, crosses, lambda pair: _post(client, url, *pair), key=lambda pair: pair[0].instrument)
    return sum(posted)


def _unposted(source: Source) -> Iterator[tuple[Cross, str]]:
    """Yield crosses that were not posted yet, each with the strategy's position before."""
    instruments = list(Instrument.objects.filter(feed__driver=Feed.Driver.SIMULATOR).select_related("quote_now"))
    newest = each(WORK, instruments, newest_cross, complete=True)
    crosses = [cross for cross in newest if cross]
    ids = {explicit_key(cross.event_id) for cross in crosses}
    posted = set(source.alerts.filter(idempotency_key__in=ids).values_list("idempotency_key", flat=True))
    for cross in crosses:
        if explicit_key(cross.event_id) in posted:
            continue
        prior = _position_before(source, cross.instrument)
        if cross.age <= FRESH_BARS or not prior:
            yield cross, prior


def _position_before(source: Source, instrument: Instrument) -> str:
    """Return what the strategy's last alert for this instrument left it with, or "" if there was none."""
    last = source.alerts.filter(instrument=instrument).order_by("-id").values_list("intent", flat=True).first()
    return last or ""


def newest_cross(instrument: Instrument) -> Cross | None:
    """Return the newest cross of an instrument's averages on its closed candles, or None."""
    quote: Quote | None = getattr(instrument, "quote_now", None)
    if quote is None:
        return None
    bars = market.closed_candles(instrument.pk, quote.timeframe, until=quote.market_time, count=BARS)
    above = crossing(bars.close)
    turns = np.flatnonzero(above[1:] != above[:-1]) + 1
    if not len(turns):
        return None
    at = int(turns[-1])
    last = len(above) - 1
    offset = len(bars.close) - len(above)
    return Cross(
        instrument=instrument,
        bar=int(bars.open_time[offset + at]),
        timeframe=quote.timeframe,
        is_up=bool(above[at]),
        close=float(bars.close[-1]),
        age=last - at,
    )


def crossing(close: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return whether the fast average lies above the slow one, for each bar from the first that has both."""
    if len(close) <= SLOW:
        return np.zeros(0, dtype=bool)
    known = slice(SLOW - 1, None)
    above: npt.NDArray[np.bool_] = talib.EMA(close, FAST)[known] > talib.EMA(close, SLOW)[known]
    return above


def message(cross: Cross, prior: str) -> dict[str, str]:
    """Return the alert as TradingView would render it for a strategy.

    Half of the instruments reverse on the opposite cross, the others only close.
    """
    reverses = cross.instrument.pk % 2 == 0
    position = "long" if cross.is_up else "short" if reverses else "flat"
    return {
        "id": cross.event_id,
        "ticker": cross.instrument.symbol,
        "exchange": "SIMULATED",
        "interval": f"{cross.timeframe}S" if cross.timeframe < 60 else str(cross.timeframe // 60),
        "time": datetime.fromtimestamp(cross.bar, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "timenow": timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "close": f"{cross.close:.10g}",
        "order_action": "buy" if cross.is_up else "sell",
        "order_id": "EMA cross up" if cross.is_up else "EMA cross down",
        "market_position": position,
        "prev_market_position": prior or "flat",
        "comment": f"EMA {FAST}/{SLOW}",
    }


def _post(client: httpx.Client, url: str, cross: Cross, prior: str) -> bool:
    try:
        answer = client.post(url, json=message(cross, prior))
    except httpx.HTTPError as error:
        # The door may be starting; the next second tries again.
        logger.info("the demo's alert for %s was not taken: %s", cross.instrument, type(error).__name__)
        return False
    if answer.status_code != httpx.codes.ACCEPTED:
        logger.warning("the demo's alert for %s was answered %d", cross.instrument, answer.status_code)
    return answer.status_code == httpx.codes.ACCEPTED
