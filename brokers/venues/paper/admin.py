"""Admin pages of the paper venue's own books: to be looked at, never edited."""

from django.contrib import admin

from algotrendy.admin import LargeTableAdmin, ReadOnlyAdmin
from brokers.venues.paper.models import PaperAccount, PaperEvent, PaperExecution, PaperHolding, PaperOrder


@admin.register(PaperAccount)
class PaperAccountAdmin(ReadOnlyAdmin):
    list_display = ("connection", "cash", "created_at")
    list_select_related = ("connection",)


@admin.register(PaperOrder)
class PaperOrderAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "id",
        "placed_at",
        "instrument",
        "side",
        "type",
        "quantity",
        "filled_quantity",
        "limit_price",
        "stop_price",
        "state",
        "reason",
        "matched_until",
    )
    list_filter = ("state", "type", "side")
    list_select_related = ("instrument",)
    search_fields = ("=client_order_id",)


@admin.register(PaperExecution)
class PaperExecutionAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("id", "executed_at", "order", "quantity", "price", "fee", "trade_id")
    list_select_related = ("order",)
    search_fields = ("=trade_id",)


@admin.register(PaperHolding)
class PaperHoldingAdmin(ReadOnlyAdmin):
    list_display = ("account", "instrument", "quantity")
    list_select_related = ("account__connection", "instrument")


@admin.register(PaperEvent)
class PaperEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("id", "recorded_at", "kind", "order")
    list_filter = ("kind",)
    list_select_related = ("order",)
