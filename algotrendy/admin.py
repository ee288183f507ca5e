"""What the admin pages of all apps share: tables too large to count, rows that nobody edits, or nobody alone."""

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms import ModelForm
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


class ChangedFieldsAdmin(admin.ModelAdmin[Any]):
    """Admin of rows that the desk writes too: saves the columns that the form changed, and no other.

    Django saves every column as it was when the page was asked for: a HALT or a revocation that was committed
    meanwhile would be taken back by whoever edits a limit or a name.
    """

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm[Any], change: bool) -> None:
        """Insert a new row; of one that is there, update what was edited."""
        if change:
            obj.save(update_fields=changed_columns(obj, form))
        else:
            super().save_model(request, obj, form, change)


def changed_columns(row: Model, form: ModelForm[Any]) -> list[str]:
    """Return the fields of `row` that differ from what `form` began with, and those that date the change."""
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    edited = {
        field.name
        for field in fields
        if field.name in form.changed_data
        or (field.name in form.initial and form.initial[field.name] != field.value_from_object(row))
    }
    stamps = {field.name for field in fields if getattr(field, "auto_now", False)} if edited else set()
    return sorted(edited | stamps)


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
