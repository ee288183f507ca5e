"""Brokers: the desk's accounts at venues, their health, settings, and whether both sides agree."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_safe

from algotrendy.access import viewer
from brokers.contract import BrokerError
from brokers.models import Connection
from dashboard.fragments import Context, fragment
from dashboard.selectors import accounts


@fragment("brokers", "fragments/brokers.html")
def brokers_region(key: str) -> Context:
    """All connections with what they are worth."""
    return {"accounts": accounts.all_accounts()}


@fragment("broker", "fragments/broker.html", keyed=True)
def broker_region(key: str) -> Context | None:
    """One connection: figures, health, settings."""
    found = Connection.objects.filter(name=key).first()
    return None if found is None else {"account": accounts.account_of(found)}


@require_safe
@viewer
def brokers(request: HttpRequest) -> HttpResponse:
    """Show all connections."""
    return render(request, "dashboard/brokers.html")


@require_safe
@viewer
def broker(request: HttpRequest, name: str) -> HttpResponse:
    """Show one connection; with ?compare=1 its positions and orders at the venue beside ours."""
    connection = get_object_or_404(Connection, name=name)
    context: Context = {"connection": connection}
    if "compare" in request.GET:
        try:
            context |= {"compared": True, "differences": accounts.compare(connection)}
        except BrokerError as error:
            context |= {"compared": True, "unreachable": str(error)}
        except LookupError as error:
            raise Http404(str(error)) from error
    return render(request, "dashboard/broker.html", context)


urlpatterns = [
    path("brokers", brokers, name="brokers"),
    path("brokers/<slug:name>", broker, name="broker"),
]
