"""Sources: who may send alerts. Made, changed, given a new token, revoked; and the set-up page."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from algotrendy.permissions import admin, password_again, person, trader, viewer
from brokers.selectors import open_positions
from dashboard import demo, forms, message_templates
from dashboard.formatting import counted
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.live.topics import id_of
from dashboard.once import once
from dashboard.selectors import sources as selectors
from webhooks import services
from webhooks.addresses import TRADINGVIEW_ADDRESSES, webhook_url
from webhooks.models import Alert, Source

READ_AND_POST = ["GET", "HEAD", "POST"]


@require_safe
@viewer
def sources(request: HttpRequest) -> HttpResponse:
    """List all sources."""
    return render(request, "dashboard/sources/list.html")


@fragment(topics.SOURCES, "dashboard/sources/rows.html")
def all_sources(key: str) -> Context:
    """All sources with their last alert, failures and silence."""
    return {"senders": selectors.senders()}


@require_safe
@viewer
def source(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one source and what can be done with it."""
    source = get_object_or_404(Source, pk=pk)
    return render(
        request, "dashboard/sources/detail.html", {"source": source, "live": selectors.moves_real_money(source)}
    )


@fragment(topics.SOURCE, "dashboard/sources/region.html")
def one(key: str) -> Context | None:
    """One source with its newest alerts."""
    pk = id_of(key)
    sender = selectors.sender(pk) if pk else None
    if sender is None:
        return None
    return {
        "sender": sender,
        "source": sender.source,
        "closest_stop": selectors.closest_whole_stop(sender.source),
        "alerts": selectors.newest_alerts(sender.source.pk),
    }


@fragment(topics.SOURCE_SETUP, "dashboard/sources/first_alert.html")
def first_alert(key: str) -> Context | None:
    """The newest alerts of a source as the set-up page waits for them."""
    pk = id_of(key)
    return {"alerts": selectors.newest_alerts(pk, 3), "pk": pk} if pk else None


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def new(request: HttpRequest) -> HttpResponse:
    """Make a source and show its address, once."""
    form = forms.SourceForm(request.POST or None, initial=_initial())
    if request.method == "POST" and form.is_valid():
        source, token = services.create_source(**form.settings(), by=person(request))
        return setup_page(request, source, token)
    return render(request, "dashboard/sources/form.html", {"form": form})


def _initial() -> dict[str, object]:
    """Return what a new source starts with: the only connection, if there is but one."""
    field = forms.SourceForm.base_fields["connection"]
    known = list(field.queryset.filter(enabled=True)[:2])  # type: ignore[attr-defined]
    return {"connection": known[0]} if len(known) == 1 else {}


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a source. What it may do with money changes at once, for alerts decided from now on."""
    source = get_object_or_404(Source, pk=pk)
    form = forms.SourceForm(request.POST or None, instance=source)
    if request.method == "POST" and form.is_valid():
        services.update_source(source=source, by=person(request), **form.settings())
        messages.success(request, f"{source.name} is changed.")
        return redirect("source", pk=pk)
    return render(request, "dashboard/sources/form.html", {"form": form, "source": source})


def setup_page(request: HttpRequest, source: Source, token: str | None = None) -> HttpResponse:
    """Show how to connect a source; `token` only in the answer to the request that made it."""
    url = webhook_url(token or "…")
    context = {
        "source": source,
        "url": url,
        "token": token,
        "is_public": url.startswith("https://"),
        "templates": message_templates.TEMPLATES,
        "addresses": TRADINGVIEW_ADDRESSES,
        "test_message": message_templates.TEST_MESSAGE,
        "live_money": selectors.moves_real_money(source),
    }
    response = render(request, "dashboard/sources/setup.html", context)
    response["Cache-Control"] = "no-store"
    return response


@never_cache
@require_safe
@viewer
def setup(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how to connect a source, without its token."""
    return setup_page(request, get_object_or_404(Source.objects.select_related("connection"), pk=pk))


def _working(pk: int) -> Source:
    """Return a source that is not revoked."""
    source = get_object_or_404(Source.objects.select_related("connection"), pk=pk)
    if source.revoked_at:
        raise Http404("This source is revoked for good.")
    return source


def _own(pk: int) -> Source:
    """Return a source whose token and secret can be changed: the demo's are the desk's own."""
    source = _working(pk)
    if source.is_demo:
        raise Http404("The demo's address is not for anybody else.")
    return source


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then give the source a new token; the old one goes on for a while."""
    source = _own(pk)
    if request.method != "POST":
        return render(request, "dashboard/sources/rotate.html", {"source": source})
    return setup_page(request, source, services.rotate_token(source=source, by=person(request)))


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for a secret in the body of every message of this source, or no longer."""
    source = _own(pk)
    form = forms.SecretForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        value = form.cleaned_data["secret"]
        services.set_body_secret(source=source, secret=value, by=person(request))
        what = "Every message must carry the new secret from now on." if value else "No body secret is asked for."
        messages.success(request, what)
        return redirect("source", pk=pk)
    return render(request, "dashboard/sources/secret.html", {"form": form, "source": source})


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what revoking does, then end the source's tokens for good."""
    source = _working(pk)
    if request.method != "POST":
        return render(request, "dashboard/sources/revoke.html", {"source": source})
    services.revoke(source=source, by=person(request))
    messages.success(request, _revoked(source))
    return redirect("sources")


def _revoked(source: Source) -> str:
    """Say what a revoked source leaves."""
    waiting = source.alerts.filter(state=Alert.State.RECEIVED).count()
    held = open_positions(source.connection_id).count()
    return (
        f"{source.name} is revoked: its address answers 404 from now on. Alerts of it that wait and are still "
        f"decided: {waiting}. Open positions on {source.connection.name}, which stay: {held}."
    )


@require_http_methods(READ_AND_POST)
@trader
@once
def test_alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Take in an alert as if the source had sent it."""
    source = _working(pk)
    form = forms.TestAlertForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        taken = services.send_test(source=source, by=person(request), **form.cleaned_data)
        messages.success(request, f"Test alert #{taken.pk} was taken in.")
        return redirect("alert", pk=taken.pk)
    context = {"form": form, "source": source, "live_money": selectors.moves_real_money(source)}
    return render(request, "dashboard/sources/test.html", context)


@require_http_methods(READ_AND_POST)
@admin
@once
def remove_demo(request: HttpRequest) -> HttpResponse:
    """Say what goes with the demo, then take it away."""
    footprint = demo.footprint()
    if footprint is None:
        messages.info(request, "There is no demo on this desk.")
        return redirect("sources")
    if request.method != "POST":
        return render(request, "dashboard/sources/remove_demo.html", {"footprint": footprint})
    try:
        left = demo.remove(by=person(request))
    except demo.DeskBusy as refusal:
        messages.error(request, f"Nothing was removed: {refusal}. Try again, or halt the desk before.")
    else:
        messages.success(request, _removed(left))
    return redirect("sources")


def _removed(left: demo.Footprint | None) -> str:
    """Say what really went with the demo, and what stays."""
    if left is None:
        return "The demo was gone already."
    alerts, decisions = counted(left.alerts, "alert"), counted(left.decisions, "decision")
    counts = f"{alerts}, {decisions} and {counted(left.orders, 'order')}"
    if left.shared:
        stays = f"Its {counts} stay, as others traded on {left.connection.name} too"
        return f"The demo is revoked and sends nothing more. {stays}; open positions there: {left.positions}."
    gone = f"{counts}, {counted(left.fills, 'fill')} and {counted(left.trades, 'trade')} were deleted"
    return f"The demo is gone: {gone}. It does not come back by itself."


urlpatterns = [
    path("sources", sources, name="sources"),
    path("sources/new", new, name="source_new"),
    path("sources/demo/remove", remove_demo, name="demo_remove"),
    path("sources/<int:pk>", source, name="source"),
    path("sources/<int:pk>/setup", setup, name="source_setup"),
    path("sources/<int:pk>/edit", edit, name="source_edit"),
    path("sources/<int:pk>/token", rotate, name="source_rotate"),
    path("sources/<int:pk>/secret", secret, name="source_secret"),
    path("sources/<int:pk>/revoke", revoke, name="source_revoke"),
    path("sources/<int:pk>/test", test_alert, name="source_test"),
]
