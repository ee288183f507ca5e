"""Admin pages of the webhooks. Tokens, keys and secrets are never shown, not even as hashes.

Sources and keys are made, rotated and revoked on the desk's own pages, which ask for the password again.
"""

from django.contrib import admin
from django.http import HttpRequest

from algotrendy.admin import ChangedFieldsAdmin, LargeTableAdmin, ReadOnlyAdmin
from webhooks.models import Alert, ApiKey, Source


@admin.register(Source)
class SourceAdmin(ChangedFieldsAdmin):
    list_display = ("name", "slug", "policy", "sizing", "connection", "staleness_seconds", "is_demo", "revoked_at")
    list_filter = ("policy", "sizing", "connection", "is_demo")
    list_select_related = ("connection",)
    search_fields = ("name", "slug")
    exclude = ("token_hash", "previous_token_hash", "body_secret_hash")
    readonly_fields = (
        "slug", "token_hint", "previous_until", "connection", "is_demo", "revoked_at", "created_by", "created_at",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A source needs a token, which only the desk's own page makes and shows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        """Decisions name their source for good: revoke it instead."""
        return False


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("id", "source", "instrument", "intent", "state", "reason", "received_at", "duplicates")
    list_filter = ("state", "source")
    list_select_related = ("source", "instrument")
    search_fields = ("=id",)
    exclude = ("body",)
    readonly_fields = ("message",)

    @admin.display(description="Message")
    def message(self, alert: Alert) -> str:
        """The body as it came, less its secret; bytes that are no text show as �."""
        return bytes(alert.body).decode(errors="replace")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("name", "scope", "key_hint", "created_at", "last_used_at", "revoked_at")
    list_filter = ("scope",)
    search_fields = ("name",)
    exclude = ("key_hash",)
