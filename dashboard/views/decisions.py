"""Decisions: the list, and the permalink that tells one from alert to outcome."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from algotrendy.permissions import viewer
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.live.topics import id_of
from dashboard.paging import page_of, requested_page
from dashboard.selectors import alerts, decision_detail, decision_evidence
from market.models import Instrument
from memory import selectors as memory
from memory.intents import Action
from webhooks.models import Source

FILTERS = ("source", "instrument", "action")


@viewer
@require_safe
def decisions(request: HttpRequest) -> HttpResponse:
    """List decisions, newest first, of one source, instrument or action if asked."""
    chosen = {name: request.GET.get(name, "")[:50] for name in FILTERS}
    rows = memory.decisions(source=chosen["source"], action=chosen["action"])
    if chosen["instrument"]:
        # The id instead of a join: the index of (instrument, id) serves the order as well.
        instrument_id = Instrument.objects.filter(symbol=chosen["instrument"]).values_list("pk", flat=True).first()
        rows = rows.filter(instrument_id=instrument_id or 0)
    page = requested_page(request, rows.defer("evidence"))
    context = {
        "page": page,
        "chosen": chosen,
        "filtered": any(chosen.values()),
        "live": page.is_first and not any(chosen.values()),
        "sources": list(Source.objects.order_by("name").values_list("slug", "name")[:200]),
        "instruments": list(Instrument.objects.order_by("symbol").values_list("symbol", flat=True)[:500]),
        "actions": Action.values(),
    }
    return render(request, "dashboard/decisions/list.html", context)


@fragment(topics.DECISIONS, "dashboard/decisions/rows.html")
def newest(key: str) -> Context:
    """The first page of decisions."""
    return {"page": page_of(memory.decisions().defer("evidence"))}


@viewer
@require_safe
def decision(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell one decision."""
    decision = memory.decision_detail(pk)
    if decision is None:
        raise Http404("There is no such decision.")
    alert = decision_detail.alert_of(decision)
    context = {
        "decision": decision,
        "alert": alert,
        "body": alerts.body_of(alert) if alert else None,
        "candles_removed": decision_detail.candles_removed(decision),
        "candles_kept": settings.KEEP_SIMULATED_CANDLES,
    }
    return render(request, "dashboard/decisions/detail.html", context)


@fragment(topics.DECISION, "dashboard/decisions/story.html")
def one(key: str) -> Context | None:
    """One decision with its evidence, orders and outcome as they are now."""
    pk = id_of(key)
    decision = memory.decision_detail(pk) if pk else None
    if decision is None:
        return None
    return {
        "decision": decision,
        "waterfall": decision_evidence.waterfall(decision),
        "thin": decision_evidence.is_thin(decision),
        "rests_on": decision_evidence.rests_on(decision),
        "checks": decision_evidence.checks(decision),
        "orders": decision_detail.orders_of(decision),
        "behind": decision_detail.behind(decision),
        "ran": decision_detail.outcome_run(decision),
    }


@viewer
@never_cache
@require_safe
def chart(request: HttpRequest, pk: int) -> JsonResponse:
    """Answer the candles known then and those since, with levels and fills."""
    decision = memory.decision_detail(pk)
    if decision is None:
        raise Http404("There is no such decision.")
    return JsonResponse(decision_detail.chart(decision))


urlpatterns = [
    path("decisions", decisions, name="decisions"),
    path("decisions/<int:pk>", decision, name="decision"),
    path("decisions/<int:pk>/chart.json", chart, name="decision_chart"),
]
