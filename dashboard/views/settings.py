"""Settings: limits, the look, one's account, people with their roles, and keys of the JSON API."""

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from algotrendy.history.changes import note
from algotrendy.permissions import Role, admin, has_role, password_again, person, viewer
from brokers import selectors as brokers
from brokers.desk_state import save_limits
from brokers.models import Desk
from dashboard import forms
from dashboard.accounts import sign_in
from dashboard.accounts.people import create_person, may_sign_in_as
from dashboard.once import once
from dashboard.selectors import audit as history
from dashboard.selectors import people
from webhooks import services as webhooks
from webhooks.models import ApiKey

READ_AND_POST = ["GET", "HEAD", "POST"]
# However many were revoked, those that work are on the page: only there they can be ended.
LIVE_FIRST = F("revoked_at").desc(nulls_first=True)
MOST_KEYS = 100


@require_safe
@viewer
def settings(request: HttpRequest) -> HttpResponse:
    """Show everything that can be set; what needs an admin is only shown to one."""
    is_admin = has_role(request.user, Role.ADMIN)
    desk = brokers.desk()
    context = {
        "desk": desk,
        "limits": forms.LimitsForm(instance=desk),
        "factors": list(Authenticator.objects.filter(user=request.user).values_list("type", flat=True)),
        "is_admin": is_admin,
        "people": people.people() if is_admin else [],
        "keys": ApiKey.objects.order_by(LIVE_FIRST, "name")[:MOST_KEYS] if is_admin else [],
        "history": history.newest() if is_admin else [],
    }
    return render(request, "dashboard/settings/page.html", context)


@require_http_methods(["POST"])
@admin
@password_again
@once
def limits(request: HttpRequest) -> HttpResponse:
    """Change the desk's limits. They count from the next order on; orders at a venue stay."""
    desk = brokers.desk()
    form = forms.LimitsForm(request.POST, instance=desk)
    if not form.is_valid():
        return render(request, "dashboard/settings/limits.html", {"limits": form}, status=422)
    if form.needs_confirmation:
        return render(request, "dashboard/confirm/limits.html", {"limits": form}, status=422)
    if form.changed:
        _save_limits(request, desk, form.changed)
        messages.success(request, f"Limits changed. {form.changed}.")
    else:
        messages.info(request, "Nothing was changed: the limits are as they were.")
    return redirect("settings")


def _save_limits(request: HttpRequest, desk: Desk, changed: str) -> None:
    with transaction.atomic():
        save_limits(desk=desk, names=forms.LimitsForm.Meta.fields)
        note(person(request), desk, changed, name="Limits")


@never_cache
@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def key_new(request: HttpRequest) -> HttpResponse:
    """Make a key of the JSON API and show it, once."""
    form = forms.KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        api_key, key = webhooks.create_key(**form.cleaned_data, by=person(request))
        return render(request, "dashboard/settings/key_made.html", {"key": key, "made": api_key})
    return render(request, "dashboard/settings/key.html", {"form": form})


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def key_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then end a key for good."""
    key = get_object_or_404(ApiKey, pk=pk, revoked_at=None)
    if request.method != "POST":
        return render(request, "dashboard/settings/key_revoke.html", {"key": key})
    webhooks.revoke_key(key=key, by=person(request))
    messages.success(request, f"The key {key.name} is revoked.")
    return redirect("settings")


@never_cache
@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def person_new(request: HttpRequest) -> HttpResponse:
    """Make an account and show its one-time link."""
    form = forms.PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = create_person(**form.cleaned_data)
        note(person(request), user, f"made the account with the role {form.cleaned_data['role']}")
        return _link_page(request, user)
    return render(request, "dashboard/settings/person.html", {"form": form})


def _link_page(request: HttpRequest, user: User) -> HttpResponse:
    context = {"person": user, "link": sign_in.link_for(user, request.build_absolute_uri("/"))}
    return render(request, "dashboard/settings/link.html", context)


@never_cache
@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def person_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then show a one-time link for somebody who can't sign in."""
    user = get_object_or_404(User, pk=pk, is_active=True)
    if not may_sign_in_as(person(request), user):
        messages.error(request, "Only a superuser can make a link for a superuser.")
        return redirect("settings")
    if request.method != "POST":
        return render(request, "dashboard/settings/person_link.html", {"person": user})
    note(person(request), user, "made a one-time sign-in link")
    return _link_page(request, user)


urlpatterns = [
    path("settings", settings, name="settings"),
    path("settings/limits", limits, name="limits"),
    path("settings/keys/new", key_new, name="key_new"),
    path("settings/keys/<int:pk>/revoke", key_revoke, name="key_revoke"),
    path("settings/people/new", person_new, name="person_new"),
    path("settings/people/<int:pk>/link", person_link, name="person_link"),
]
