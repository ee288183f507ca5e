"""JSON for the charts, read with the session. Bounded, and as of market time."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from algotrendy.permissions import viewer
from brokers.models import Connection
from dashboard.selectors import chart
from market.models import Instrument

DEFAULT_HOURS = 24
MAX_HOURS = 24 * 366
WHOLE = re.compile(r"[0-9]{1,15}")
FAR_FUTURE = 32_503_680_000  # the year 3000


class BadParameter(ValueError):
    """A parameter of the request makes no sense; the text says which and why."""


def number(request: HttpRequest, name: str, low: int, high: int) -> int | None:
    """Return a whole-number parameter; None when it is missing. Raises BadParameter."""
    text = request.GET.get(name, "")
    if not text:
        return None
    value = int(text) if WHOLE.fullmatch(text) else -1
    if not low <= value <= high:
        raise BadParameter(f"{name} must be a whole number from {low} to {high}")
    return value


def moment(request: HttpRequest, name: str) -> datetime | None:
    """Return a parameter of UTC seconds as a time; None when it is missing. Raises BadParameter."""
    seconds = number(request, name, 0, FAR_FUTURE)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def answer(build: Callable[[HttpRequest], dict[str, object]]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Turn a function into a JSON view for viewers: 400 for bad parameters, 404 for what is not there."""

    @never_cache
    @require_safe
    @viewer
    def view(request: HttpRequest) -> HttpResponse:
        try:
            return JsonResponse(build(request))
        except BadParameter as error:
            return JsonResponse({"error": str(error)}, status=400)
        except LookupError as error:
            return JsonResponse({"error": str(error.args[0])}, status=404)

    return view


def _instrument(request: HttpRequest) -> Instrument:
    symbol = request.GET.get("symbol", "")
    instrument = chart.instrument_of(symbol) if symbol else None
    if instrument is None:
        raise LookupError("there is no such instrument")
    return instrument


@answer
def candles(request: HttpRequest) -> dict[str, object]:
    """Candles of `symbol`: the last `count` known at `until` (UTC seconds of market time)."""
    instrument = _instrument(request)
    return dict(
        chart.candles(
            instrument,
            timeframe=number(request, "timeframe", 1, 7 * 86_400),
            until=moment(request, "until"),
            count=number(request, "count", 1, chart.MAX_CANDLES),
        )
    )


@answer
def markers(request: HttpRequest) -> dict[str, object]:
    """Decisions and fills of `symbol` from `start` to `end` (market time), and the lines of what is held now."""
    instrument = _instrument(request)
    quote = chart.quote_of(instrument)
    end = moment(request, "end") or (quote.market_time if quote else timezone.now())
    start = moment(request, "start") or end - timedelta(days=1)
    return {
        "symbol": instrument.symbol,
        "markers": chart.markers(instrument, start=start, end=end),
        "lines": chart.price_lines(instrument),
    }


@answer
def equity(request: HttpRequest) -> dict[str, object]:
    """The equity of a connection over the last `hours` of wall time."""
    hours = number(request, "hours", 1, MAX_HOURS) or DEFAULT_HOURS
    rows = Connection.objects.filter(enabled=True)
    pk = number(request, "connection", 1, 2**31)
    account = (rows.filter(pk=pk) if pk else rows).order_by("id").first()
    if account is None:
        raise LookupError("there is no such connection")
    end = timezone.now()
    curve = chart.equity_curve(account, start=end - timedelta(hours=hours), end=end)
    return {
        "connection": account.name,
        "currency": account.currency,
        "starting_equity": float(account.starting_equity),
        **curve._asdict(),
    }


@never_cache
@require_safe
@viewer
def session(request: HttpRequest) -> HttpResponse:
    """Answer 204 while the session lives: how a page whose socket was refused learns why."""
    return HttpResponse(status=204)


urlpatterns = [
    path("data/candles", candles, name="data_candles"),
    path("data/markers", markers, name="data_markers"),
    path("data/equity", equity, name="data_equity"),
    path("data/session", session, name="data_session"),
]
