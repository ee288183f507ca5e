"""Memory in the admin: decisions, outcomes and the record can be read, never edited."""

from django.contrib import admin

from algotrendy.admin import LargeTableAdmin, ReadOnlyAdmin
from memory.models import Decision, Outcome, Tally


@admin.register(Decision)
class DecisionAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("id", "decided_at", "source", "instrument", "action", "confidence", "reason")
    list_filter = ("action", "policy", "refused", "market")
    list_select_related = ("instrument",)
    search_fields = ("=id", "signal_key", "source")


@admin.register(Outcome)
class OutcomeAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("id", "decision_id", "instrument", "kind", "side", "state", "result", "return_pct", "known_at")
    list_filter = ("state", "result", "kind", "side")
    list_select_related = ("instrument",)
    search_fields = ("=decision__id",)


@admin.register(Tally)
class TallyAdmin(ReadOnlyAdmin):
    list_display = ("source", "instrument", "side", "wins", "cases")
    list_select_related = ("instrument",)
