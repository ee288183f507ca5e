"""The way in for somebody who has no password yet: a one-time link, then a password of their own."""

import time

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from algotrendy.permissions import person
from dashboard.accounts import sign_in
from dashboard.accounts.passwords import OwnPassword

CHOOSE_KEY = "may_choose_password"
CHOOSE_SECONDS = 900


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def welcome(request: HttpRequest, uid: int, token: str) -> HttpResponse:
    """Show a button (a link preview must not spend the link), and sign in when it is pressed."""
    user = sign_in.user_of_link(uid, token)
    if user is None:
        return render(request, "dashboard/account/link_spent.html", status=410)
    if request.method != "POST":
        return render(request, "dashboard/account/welcome.html", {"person": user})
    if not sign_in.spend_link(user):
        return render(request, "dashboard/account/link_spent.html", status=410)
    return _sign_in(request, user)


def _sign_in(request: HttpRequest, user: User) -> HttpResponse:
    """Sign in through allauth, which still asks for a second factor where there is one."""
    request.session[CHOOSE_KEY] = [user.pk, time.time()]
    response: HttpResponse = perform_login(request, user, redirect_url=reverse("choose_password"))
    return response


def may_choose(request: HttpRequest) -> bool:
    """Return whether this session came in by a link a moment ago, or its user has no password at all."""
    user = person(request)
    pk, at = request.session.get(CHOOSE_KEY, [None, 0.0])
    fresh = pk == user.pk and time.time() - at < CHOOSE_SECONDS
    return fresh or not user.has_usable_password()


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest) -> HttpResponse:
    """Let somebody who came by a link choose a password without giving the old one."""
    if not may_choose(request):
        return redirect("account_change_password")
    form = OwnPassword(person(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        update_session_auth_hash(request, form.save())
        # Whoever has just chosen a password need not type it once more for the first source.
        record_authentication(request, person(request), method="password", reauthenticated=True)
        request.session.pop(CHOOSE_KEY, None)
        messages.success(request, "Your password is set. Add a second factor under Settings.")
        return redirect("/")
    return render(request, "dashboard/account/choose_password.html", {"form": form})


urlpatterns = [
    path("welcome/password/", choose_password, name="choose_password"),
    path("welcome/<int:uid>/<str:token>/", welcome, name="welcome"),
]
