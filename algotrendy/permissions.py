"""Who may do what: three roles, each including the ones before it.

A role is membership in the Django group of the same name; superusers are admins. Nobody has a role by default.
"""

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Concatenate, ParamSpec

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Role(IntEnum):
    """viewer reads, trader acts on orders and alerts, admin changes sources, keys, limits and people."""

    NONE = 0
    VIEWER = 1
    TRADER = 2
    ADMIN = 3

    @property
    def group(self) -> str:
        """Name of the Django group that gives this role."""
        return self.name.lower()


ROLES = (Role.VIEWER, Role.TRADER, Role.ADMIN)


def role_of(user: AbstractBaseUser | AnonymousUser) -> Role:
    """Return the highest role of `user`; queries the database once per user object."""
    cached: Role | None = getattr(user, "_desk_role", None)
    if cached is None:
        cached = _find_role(user)
        user._desk_role = cached  # type: ignore[union-attr]
    return cached


def _find_role(user: AbstractBaseUser | AnonymousUser) -> Role:
    if not user.is_authenticated or not user.is_active:
        return Role.NONE
    if getattr(user, "is_superuser", False):
        return Role.ADMIN
    names = set(user.groups.values_list("name", flat=True))  # type: ignore[attr-defined]
    return max((role for role in ROLES if role.group in names), default=Role.NONE)


def has_role(user: AbstractBaseUser | AnonymousUser, role: Role) -> bool:
    """Return whether `user` has `role` or a higher one."""
    return role_of(user) >= role


def wants_fragment(request: HttpRequest) -> bool:
    """Return whether the answer goes into a script or a part of a page, where a redirect would be of no use."""
    return request.headers.get("HX-Request") == "true" or not request.accepts("text/html")


def refuse(request: HttpRequest, needed: Role) -> HttpResponse:
    """Return the 403 page that says which role is needed."""
    context = {"needed": needed, "actual": role_of(request.user)}
    name = "dashboard/forbidden_fragment.html" if wants_fragment(request) else "dashboard/forbidden.html"
    return render(request, name, context, status=403)


def requires(role: Role) -> Callable[[View[P]], View[P]]:
    """Let only users with `role` in: others are sent to sign in, or told which role is needed."""

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                if wants_fragment(request):
                    return HttpResponse("Sign in again: your session has ended.", status=401)
                return redirect_to_login(request.get_full_path())
            if not has_role(request.user, role):
                return refuse(request, role)
            return view(request, *args, **kwargs)

        guarded.required_role = role  # type: ignore[attr-defined]
        return guarded

    return decorate


viewer = requires(Role.VIEWER)
trader = requires(Role.TRADER)
admin = requires(Role.ADMIN)


def password_again(view: View[P]) -> View[P]:
    """Have the password or passkey given again, unless that was minutes ago. Goes inside the role's decorator."""
    from allauth.account.decorators import reauthentication_required

    guarded: View[P] = reauthentication_required(view)
    return guarded


def person(request: HttpRequest) -> User:
    """Return who is signed in. Only for views that a role guards: raises TypeError for a stranger."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    return request.user


class RoleBackend(BaseBackend):
    """Gives admins every permission of the admin pages; nobody else has any."""

    def has_perm(self, user_obj: AbstractBaseUser | AnonymousUser, perm: str, obj: Model | None = None) -> bool:
        """Return whether `user_obj` is an admin."""
        return role_of(user_obj) == Role.ADMIN

    def has_module_perms(self, user_obj: AbstractBaseUser | AnonymousUser, app_label: str) -> bool:
        """Return whether `user_obj` is an admin."""
        return role_of(user_obj) == Role.ADMIN
