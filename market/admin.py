"""Admin pages of the market's tables."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from algotrendy.admin import ChangedFieldsAdmin, LargeTableAdmin, ReadOnlyAdmin
from market.feeds.settings import problems
from market.models import Candle, Feed, Gap, Instrument, Quote
from market.services import FeedBusy, announce_feed, assign_feed, require_switchable

#: What may change of a feed's settings without its prices becoming another market's.
SAME_MARKET = ("speed", "loop")


class FeedForm(ModelForm[Feed]):
    """A feed. Its market can't become another one under a position or an order that is not finished."""

    def clean_settings(self) -> object:
        """Return no settings as an empty object."""
        return self.cleaned_data["settings"] or {}

    def clean(self) -> dict[str, Any] | None:
        """Refuse settings that the feed can't use; say in the words of FeedBusy why its market may not change."""
        cleaned = super().clean()
        driver, settings = (self.cleaned_data.get(name) for name in ("driver", "settings"))
        for sentence in problems(driver, settings) if driver and settings else ():
            self.add_error("settings", sentence)
        if self.instance.pk and not self.errors and self.changes_market():
            try:
                require_switchable(instruments=self.instance.instruments.all(), feed=self.instance)
            except FeedBusy as busy:
                raise ValidationError(str(busy)) from busy
        return cleaned

    def changes_market(self) -> bool:
        """Return whether what was edited makes the prices those of another market."""
        if {"driver", "timeframe"} & set(self.changed_data):
            return True
        settings = (self.initial.get("settings"), self.cleaned_data.get("settings"))
        before, after = ({**(values or {}), **dict.fromkeys(SAME_MARKET)} for values in settings)
        return before != after


@admin.register(Feed)
class FeedAdmin(ChangedFieldsAdmin):
    form = FeedForm
    list_display = ("name", "driver", "enabled", "state", "timeframe", "clock", "heartbeat_at", "last_error")
    list_filter = ("driver", "enabled", "state")
    search_fields = ("name",)
    readonly_fields = ("state", "clock", "heartbeat_at", "last_candle_at", "last_error", "created_at")

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool) -> None:
        """Save what was edited; where that makes another market, the price of the one before is forgotten."""
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if isinstance(obj, Feed) and isinstance(form, FeedForm) and change and form.changes_market():
                assign_feed(feed=obj, instruments=obj.instruments.all(), restart=True)
            announce_feed(obj.pk)

    def delete_model(self, request: HttpRequest, obj: Feed) -> None:
        """Delete a feed and forget its prices. Raises FeedBusy, with nothing deleted."""
        self.delete_queryset(request, Feed.objects.filter(pk=obj.pk))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        """Delete all of them or none. Raises FeedBusy."""
        for feed in queryset:
            assign_feed(feed=None, instruments=feed.instruments.all())
        super().delete_queryset(request, queryset)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say in the words of FeedBusy why the feed can't go now."""
        return self._or_busy(
            request, lambda: super(FeedAdmin, self).delete_view(request, object_id, extra_context)
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Do the same for feeds that were chosen in the list."""
        return self._or_busy(request, partial(super().changelist_view, request, extra_context))

    def _or_busy(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        try:
            return view()
        except FeedBusy as busy:
            self.message_user(request, f"Nothing was deleted: {busy}", messages.ERROR)
            return redirect("admin:market_feed_changelist")


@admin.register(Instrument)
class InstrumentAdmin(ChangedFieldsAdmin):
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
