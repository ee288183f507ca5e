"""What the admin pages of all apps share: tables too large to be counted, and rows that nobody may edit."""

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

COUNTED_AT_MOST = 10_000


class NoCountPaginator(Paginator[Any]):
    """Pages of a huge table: counts no further than `COUNTED_AT_MOST` rows.

    A full count reads the whole table at every page view; older rows are found by filters and search.
    """

    @cached_property
    def count(self) -> int:
        """Rows, or `COUNTED_AT_MOST` when there are more."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by()[:COUNTED_AT_MOST].count()


class LargeTableAdmin(admin.ModelAdmin[Any]):
    """Admin of a table that may have millions of rows: newest first, by primary key, never counted in full."""

    paginator = NoCountPaginator
    show_full_result_count = False
    ordering = ("-pk",)
    list_per_page = 50


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Admin of rows that are written once by the desk and can only be looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes rows by hand."""
        return False
