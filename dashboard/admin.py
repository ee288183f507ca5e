"""The admin pages of people and of what only the dashboard keeps."""

import allauth.account.admin  # registers what is taken away below
import allauth.mfa.admin  # noqa: F401
import django_celery_beat.admin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django_celery_beat.models import PeriodicTask

from algotrendy.admin import ChangedFieldsAdmin, LargeTableAdmin, ReadOnlyAdmin
from algotrendy.history.models import Change
from algotrendy.permissions import Role, has_role, role_of
from dashboard.accounts.passwords import PasswordOfAnother
from dashboard.models import Heartbeat, Reconciliation, Setup

for model in (User, EmailAddress, Authenticator, PeriodicTask):
    admin.site.unregister(model)


@admin.register(User)
class PersonAdmin(ChangedFieldsAdmin, UserAdmin[User]):
    """People. Their role is their group: viewer, trader or admin."""

    change_password_form = PasswordOfAnother

    list_display = ("username", "role", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Role", {"fields": ("is_active", "groups"), "description": "viewer reads, trader acts, admin changes."}),
        ("Beyond roles", {"classes": ("collapse",), "fields": ("is_superuser", "is_staff")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    @admin.display(description="role")
    def role(self, person: User) -> str:
        """Write the role."""
        return role_of(person).group

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Keep superusers to superusers."""
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Keep superusers to superusers."""
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Let only a superuser make another one."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, "is_superuser")


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    return person is None or not person.is_superuser or bool(request.user.is_superuser)


@admin.register(Authenticator)
class FactorAdmin(ReadOnlyAdmin):
    """Second factors: never their secrets. One that is lost can be taken away."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    fields = ("user", "type", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        """Let an admin take away a factor of anybody below a superuser."""
        return has_role(request.user, Role.ADMIN) and _may_touch(request, obj.user if obj else None)


@admin.register(PeriodicTask)
class ScheduleAdmin(ChangedFieldsAdmin, django_celery_beat.admin.PeriodicTaskAdmin):  # type: ignore[misc]
    """Schedules: beat writes into them when each was sent last."""


@admin.register(LogEntry)
class HistoryAdmin(ReadOnlyAdmin):
    """Who changed what."""

    list_display = ("action_time", "user", "content_type", "object_repr", "change_message")
    list_select_related = ("user", "content_type")
    ordering = ("-action_time",)


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin, LargeTableAdmin):
    """What was changed by nobody who was signed in: a key of the API, the command line, the desk itself."""

    list_display = ("at", "who", "name", "text")
    ordering = ("-id",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """Signs of life of the workers."""

    list_display = ("queue", "at", "host", "pid", "waited_seconds")


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    """The last comparison of books with each venue."""

    list_display = ("connection", "at", "differences", "error")


@admin.register(Setup)
class SetupAdmin(ReadOnlyAdmin):
    """How the desk was prepared."""

    list_display = ("prepared_at", "demo_created_at", "demo_removed_at")
