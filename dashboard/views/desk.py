"""The desk: chart, equity, positions and the stream of decisions."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from algotrendy.permissions import viewer
from algotrendy.serving.theme import COOKIE as THEME_COOKIE
from algotrendy.serving.theme import THEMES
from dashboard.live import topics
from dashboard.live.fragments import Context, data, fragment
from dashboard.selectors import chart, ledger, status, stream
from market.freshness import FeedFreshness
from market.models import Instrument
from market.selectors import feed_freshness

YEAR = 365 * 86_400
SYMBOL = "desk_symbol"


@fragment(topics.STATUS, "fragments/status.html", pause=0.5)
def status_region(key: str) -> Context:
    """The status line of every page."""
    return {"status": status.status()}


@fragment(topics.POSITIONS, "fragments/positions.html")
def positions_region(key: str) -> Context:
    """The open positions."""
    return {"positions": ledger.held_positions()}


@fragment(topics.STREAM, "fragments/stream.html")
def stream_region(key: str) -> Context:
    """The newest decisions, one line each."""
    return {"decisions": stream.newest_decisions()}


@data(topics.CHART)
def chart_data(key: str) -> Context | None:
    """The newest candles and marks of an open chart."""
    instrument = chart.instrument_of(key)
    return None if instrument is None else chart.live_chart(instrument)


@data(topics.EQUITY)
def equity_data(key: str) -> Context:
    """The equity now; an open curve adds it at its end."""
    worth = status.worth(status.enabled_connections()[:1])
    return {"equity": float(worth.equity) if worth else None}


def chosen(instruments: list[Instrument], symbol: str) -> Instrument | None:
    """Return the instrument that was asked for, else the first."""
    named = {instrument.symbol: instrument for instrument in instruments}
    return named.get(symbol.upper()) or (instruments[0] if instruments else None)


def _symbol(request: HttpRequest) -> str:
    """Return the symbol that is asked for, else the one this person looked at last, else the newest decided on."""
    asked = request.GET.get("instrument", "").upper()[:32]
    if asked and request.session.get(SYMBOL) != asked:
        request.session[SYMBOL] = asked
    return asked or request.session.get(SYMBOL) or stream.newest_symbol()


@require_safe
@viewer
def desk(request: HttpRequest) -> HttpResponse:
    """Show the desk."""
    instruments = chart.chart_instruments()
    instrument = chosen(instruments, _symbol(request))
    feeds: list[FeedFreshness] = feed_freshness() if instrument is None else []
    context = {
        "instruments": instruments,
        "instrument": instrument,
        "quote": chart.quote_of(instrument) if instrument else None,
        "usual_market": status.usual_market(),
        "feeds": feeds,
    }
    return render(request, "dashboard/desk.html", context)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light or dark in a cookie."""
    back = request.headers.get("Referer", "/")
    if not back.isprintable() or not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = "/"
    response = HttpResponseRedirect(back)
    wanted = request.POST.get("theme", "")
    if wanted in THEMES:
        response.set_cookie(
            THEME_COOKIE, wanted, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure()
        )
    elif wanted == "system":
        response.delete_cookie(THEME_COOKIE)
    return response


@require_safe
def dashboard_redirect(request: HttpRequest) -> HttpResponse:
    """Lead the old address to the desk."""
    return redirect("desk")


urlpatterns = [
    path("", desk, name="desk"),
    path("dashboard", dashboard_redirect),
    path("dashboard/", dashboard_redirect),
    path("theme", theme, name="theme"),
]
