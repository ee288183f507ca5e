"""Admin pages of the market's tables."""

from django.contrib import admin
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest

from algotrendy.admin import LargeTableAdmin, ReadOnlyAdmin
from market.models import Candle, Feed, Gap, Instrument, Quote
from market.services import announce_feed


@admin.register(Feed)
class FeedAdmin(admin.ModelAdmin[Feed]):
    list_display = ("name", "driver", "enabled", "state", "timeframe", "clock", "heartbeat_at", "last_error")
    list_filter = ("driver", "enabled", "state")
    search_fields = ("name",)
    readonly_fields = ("state", "clock", "heartbeat_at", "last_candle_at", "last_error", "created_at")

    def save_model(self, request: HttpRequest, obj: Feed, form: ModelForm[Feed], change: bool) -> None:
        """Save what was edited and nothing else: the feed process writes the row meanwhile."""
        with transaction.atomic():
            obj.save(update_fields=form.changed_data if change else None)
            announce_feed(obj.pk)


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin[Instrument]):
    """The feed is shown and not edited: moving an instrument to another market asks the rest of the desk first."""

    list_display = ("symbol", "base", "quote", "tick_size", "step_size", "min_notional", "feed")
    list_filter = ("feed",)
    list_select_related = ("feed",)
    search_fields = ("symbol", "base")
    readonly_fields = ("feed", "created_at")


@admin.register(Quote)
class QuoteAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "price", "kind", "market_time", "received_at")
    list_filter = ("kind",)
    list_select_related = ("instrument",)
    search_fields = ("=instrument__symbol",)


@admin.register(Candle)
class CandleAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "instrument", "timeframe", "open_time", "open", "high", "low", "close", "volume", "kind", "revision",
    )  # fmt: skip
    list_filter = ("kind", "timeframe", "instrument")
    list_select_related = ("instrument",)


@admin.register(Gap)
class GapAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("instrument", "timeframe", "first_missing", "next_present", "state", "discovered_at")
    list_filter = ("state", "timeframe", "instrument")
    list_select_related = ("instrument",)
    search_fields = ("=instrument__symbol",)
