"""Whoever edits a row in the admin writes what was edited: the desk writes the same rows meanwhile."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule

from algotrendy.admin import ChangedFieldsAdmin, ReadOnlyAdmin

#: Nothing but the admin writes these.
ONLY_EDITED = {Group, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule}


def test_every_admin_page_that_edits_saves_only_what_was_edited() -> None:
    admin.autodiscover()
    careless = [
        model._meta.label
        for model, page in admin.site._registry.items()
        if type(page).has_change_permission is not ReadOnlyAdmin.has_change_permission
        and model not in ONLY_EDITED
        and not (isinstance(page, ChangedFieldsAdmin) and _saves_by_the_mixin(type(page)))
    ]
    assert careless == []


def _saves_by_the_mixin(page: type[admin.ModelAdmin]) -> bool:
    """Return whether the mixin comes before Django's own save."""
    order = list(page.__mro__)
    return order.index(ChangedFieldsAdmin) < order.index(admin.ModelAdmin)
