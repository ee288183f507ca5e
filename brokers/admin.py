"""Admin pages of the desk, its connections and its ledger. Orders and the ledger are read-only."""

from django.contrib import admin
from django.urls import reverse_lazy
from django.utils.functional import lazy
from django.utils.html import format_html

from algotrendy.admin import ChangedFieldsAdmin, LargeTableAdmin, ReadOnlyAdmin
from brokers.forms import ConnectionForm
from brokers.models import Comparison, Connection, Desk, EquityMark, Fill, FillSum, Order, Position, Trade


@admin.register(Desk)
class DeskAdmin(ReadOnlyAdmin):
    """State and limits to look at: each is set where the desk asks twice, and writes down who set it and why."""

    list_display = ("state", "reason", "until", "changed_at", "changed_by", "max_order_pct", "max_daily_loss_pct")

    fieldsets = [
        (None, {"fields": ("uid", "state", "reason", "until", "changed_at", "changed_by")}),
        (
            "Limits",
            {
                "fields": ("max_order_pct", "max_position_pct", "max_open_positions", "max_daily_loss_pct"),
                "description": lazy(format_html, str)(
                    'They are set on the page <a href="{}">Settings</a>, which asks twice for unusual ones.',
                    reverse_lazy("settings"),
                ),
            },
        ),
    ]


@admin.register(Connection)
class ConnectionAdmin(ChangedFieldsAdmin):
    form = ConnectionForm
    list_display = ("name", "venue", "mode", "enabled", "health", "last_synced_at", "starting_equity", "currency")
    list_filter = ("venue", "mode", "enabled", "health")
    search_fields = ("name",)
    readonly_fields = ("cursor", "health", "last_error", "last_synced_at", "created_at")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "id",
        "created_at",
        "instrument",
        "role",
        "side",
        "type",
        "quantity",
        "filled_quantity",
        "average_price",
        "state",
        "reason",
        "market",
    )
    list_filter = ("state", "role", "side", "market")
    list_select_related = ("instrument",)
    search_fields = ("=client_order_id", "=venue_order_id")


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("id", "executed_at", "instrument", "side", "quantity", "price", "fee", "order", "trade")
    list_filter = ("side",)
    list_select_related = ("instrument", "order", "trade")
    search_fields = ("=venue_trade_id", "=order__client_order_id")


@admin.register(Trade)
class TradeAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "id",
        "opened_at",
        "closed_at",
        "instrument",
        "side",
        "state",
        "quantity",
        "entry_price",
        "exit_price",
        "fees",
        "pnl",
        "market",
    )
    list_filter = ("state", "side", "market")
    list_select_related = ("instrument",)
    search_fields = ("=instrument__symbol",)


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "connection", "quantity", "average_price", "realised_pnl", "fees", "updated_at")
    list_filter = ("connection",)
    list_select_related = ("instrument", "connection")
    search_fields = ("=instrument__symbol",)


@admin.register(EquityMark)
class EquityMarkAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("at", "connection", "equity", "unrealised_pnl")
    list_filter = ("connection",)
    list_select_related = ("connection",)


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    list_display = ("connection", "scope", "cursor", "order_id", "external_count", "ended_at", "verified_at")
    list_filter = ("connection", "scope")
    list_select_related = ("connection",)


@admin.register(FillSum)
class FillSumAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "connection", "quantity", "fill_id")
    list_filter = ("connection",)
    list_select_related = ("instrument", "connection")
