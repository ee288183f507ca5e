"""The admin pages: for admins, through the same door as all other pages, and never changed without a password."""

from typing import Any

from allauth.account.decorators import reauthentication_required, secure_admin_login
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from algotrendy.permissions import Role, has_role


class DeskAdminSite(AdminSite):
    site_header = "AlgoTrendy"
    site_title = "AlgoTrendy"
    index_title = "Everything the desk keeps"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let admins in, and nobody else."""
        return has_role(request.user, Role.ADMIN)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Sign in as everywhere else, with rate limits and the second factor."""
        return secure_admin_login(super().login)(request, extra_context)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]
        """Sign out as everywhere else."""
        return redirect("account_logout")

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Ask for the password again before anything is changed."""
        return reauthentication_required(super().admin_view(view, cacheable), allow_get=True)
