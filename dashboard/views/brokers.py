"""Brokers: the desk's accounts at venues, their health, settings, and whether both sides agree."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_safe

from algotrendy.permissions import viewer
from brokers.models import Connection
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.selectors import accounts
from dashboard.tasks import reconcile_one


@fragment(topics.BROKERS, "fragments/brokers.html")
def brokers_region(key: str) -> Context:
    """All connections with what they are worth."""
    return {"accounts": accounts.all_accounts()}


@fragment(topics.BROKER, "fragments/broker.html")
def broker_region(key: str) -> Context | None:
    """One connection: figures, health, settings."""
    connection = Connection.objects.filter(name=key).first()
    return None if connection is None else {"account": accounts.account_of(connection)}


@require_safe
@viewer
def brokers(request: HttpRequest) -> HttpResponse:
    """Show all connections."""
    return render(request, "dashboard/brokers.html")


@require_safe
@viewer
def broker(request: HttpRequest, name: str) -> HttpResponse:
    """Show one connection and the last comparison of books; with ?compare=1 the venue is read anew."""
    connection = get_object_or_404(Connection.objects.select_related("reconciliation"), name=name)
    compare = "compare" in request.GET
    reconciliation = reconcile_one(connection) if compare else getattr(connection, "reconciliation", None)
    return render(request, "dashboard/broker.html", {"connection": connection, "compared": reconciliation})


urlpatterns = [
    path("brokers", brokers, name="brokers"),
    path("brokers/<slug:name>", broker, name="broker"),
]
