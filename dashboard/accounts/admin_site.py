"""The admin pages: for admins, through the same door as all other pages, and never changed without a password."""

from collections.abc import Callable
from typing import TypeVar

from allauth.account.decorators import reauthentication_required, secure_admin_login
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from algotrendy.permissions import Role, has_role

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class DeskAdminSite(AdminSite):
    site_header = "AlgoTrendy"
    site_title = "AlgoTrendy"
    index_title = "Everything the desk keeps"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let admins in, and nobody else."""
        return has_role(request.user, Role.ADMIN)

    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Sign in as everywhere else, with rate limits and the second factor; who is no admin is told so."""
        if request.user.is_authenticated and not self.has_permission(request):
            return render(request, "403.html", status=403)
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:  # type: ignore[override]
        """Sign out as everywhere else."""
        return redirect("account_logout")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Ask for the password again before anything is changed."""
        guarded: View = reauthentication_required(super().admin_view(view, cacheable), allow_get=True)
        return guarded
