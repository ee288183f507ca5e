"""The inbox: every alert as it came, what became of it, and sending one again."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_safe

from algotrendy.permissions import person, trader, viewer
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.live.topics import id_of
from dashboard.once import once
from dashboard.paging import page_of, requested_page
from dashboard.selectors import alerts as selectors
from webhooks.models import Alert
from webhooks.services import SourceRevoked, replay_alert


@viewer
@require_safe
def alerts(request: HttpRequest) -> HttpResponse:
    """List alerts, newest first, of one state, source or instrument if asked."""
    chosen = selectors.Filters.of(request.GET)
    page = requested_page(request, selectors.alerts(chosen))
    context = {
        "page": page,
        "chosen": chosen,
        "live": page.is_first and not chosen.any,
        "choices": selectors.choices(),
    }
    return render(request, "dashboard/alerts/list.html", context)


@fragment(topics.ALERTS, "dashboard/alerts/rows.html")
def newest(key: str) -> Context:
    """The first page of the inbox, without filters."""
    return {"page": page_of(selectors.alerts(selectors.Filters()))}


@viewer
@require_safe
def alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one alert."""
    if not Alert.objects.filter(pk=pk).exists():
        raise Http404("There is no such alert.")
    return render(request, "dashboard/alerts/detail.html", {"pk": pk})


@fragment(topics.ALERT, "dashboard/alerts/detail_region.html")
def one(key: str) -> Context | None:
    """One alert with its body, fields and way through the desk."""
    pk = id_of(key)
    alert = selectors.with_decision(Alert.objects.all()).filter(pk=pk).first() if pk else None
    if alert is None:
        return None
    return {
        "alert": alert,
        "body": selectors.body_of(alert),
        "fields": selectors.fields_of(alert),
        "headline": selectors.headline(alert),
        "advice": selectors.advice(alert),
        "replays": _replays(alert),
    }


def _replays(alert: Alert) -> QuerySet[Alert]:
    return alert.replays.only("id", "state", "received_at").order_by("-id")[:20]


@trader
@require_http_methods(["GET", "HEAD", "POST"])
@once
def replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then take the alert in again as a new one that is decided by what is known now."""
    alert = get_object_or_404(Alert.objects.select_related("source").defer("body"), pk=pk)
    if request.method != "POST":
        return render(request, "dashboard/alerts/replay.html", {"alert": alert})
    try:
        again = replay_alert(alert=alert, by=person(request))
    except SourceRevoked as refusal:
        messages.error(request, f"Nothing was taken in: {refusal}.")
        return redirect("alert", pk=pk)
    messages.success(request, f"Alert #{pk} was taken in again as #{again.pk}.")
    return redirect("alert", pk=again.pk)


urlpatterns = [
    path("alerts", alerts, name="alerts"),
    path("alerts/<int:pk>", alert, name="alert"),
    path("alerts/<int:pk>/replay", replay, name="alert_replay"),
]
