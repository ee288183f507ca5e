"""Rows that some work of the desk can't handle, with a link to each and what to do, for the page Health."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.apps import apps
from django.db.models import Model
from django.urls import NoReverseMatch, reverse

from algotrendy.isolation.models import RowFailure

SHOWN = 30
#: Pages of the desk that show a row of a table, and the field that names it there.
PAGES: Final[Mapping[str, tuple[str, str]]] = {
    "brokers.connection": ("broker", "name"),
    "brokers.order": ("order", "pk"),
    "brokers.trade": ("trade", "pk"),
    "memory.decision": ("decision", "pk"),
    "memory.outcome": ("decision", "decision_id"),
    "mlmodels.modelversion": ("model", "name"),
    "mlmodels.trainingrun": ("model_run", "pk"),
    "webhooks.alert": ("alert", "pk"),
    "webhooks.source": ("source", "pk"),
}
#: What to do about a row of a table; the rest of the desk goes on in every case.
ADVICE: Final[Mapping[str, str]] = {
    "brokers.connection": "Other accounts go on. Set its settings right in the admin, then it goes on by itself.",
    "brokers.order": "Nothing is sent twice and other orders go on. Its page says where it stands.",
    "django_celery_beat.periodictask": "The rest of the schedule goes on. Set its arguments and times right.",
    "market.feed": "Other feeds go on. Set its settings right in the admin; prices of its instruments stay old.",
    "market.instrument": "Other instruments go on. Look at its steps, its newest candles and its feed's settings.",
    "memory.outcome": "Other outcomes are resolved. This one counts nowhere until it is.",
    "mlmodels.modelversion": "Decisions go on without it. Train a new model under Models.",
    "webhooks.alert": "Later alerts are decided meanwhile. It is tried again, with growing pauses.",
}
OTHERWISE = "Everything else goes on; it is tried again by itself."


@dataclass(frozen=True, slots=True)
class Failing:
    """A row that fails: what was tried, in words, where to see it, and what to do."""

    failure: RowFailure
    link: str
    todo: str

    @property
    def since(self) -> datetime:
        """Wall time of the first failure in a row."""
        return self.failure.first_at


def failing() -> list[Failing]:
    """Return what fails, the newest first, at most `SHOWN`. One query, and one for each kind of row among them."""
    failures = list(RowFailure.objects.order_by("-last_at")[:SHOWN])
    links = _links(failures)
    return [
        Failing(row, links.get((row.table, row.key), ""), ADVICE.get(row.table, OTHERWISE)) for row in failures
    ]


def _links(failures: Sequence[RowFailure]) -> dict[tuple[str, str], str]:
    links: dict[tuple[str, str], str] = {}
    for table in {row.table for row in failures if row.table}:
        keys = [row.key for row in failures if row.table == table]
        links |= {(table, key): link for key, link in _links_of(table, keys)}
    return links


def _links_of(table: str, keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return the links to those rows of a table that are still there."""
    try:
        model: type[Model] = apps.get_model(table)
    except LookupError:
        return []
    page, field = PAGES.get(table, ("", "pk"))
    wanted = [key for key in keys if key.isascii() and key.isdecimal()]
    rows = model._default_manager.filter(pk__in=wanted).values_list("pk", field)
    try:
        return [(str(pk), _address(table, page, value)) for pk, value in rows]
    except NoReverseMatch:
        return []


def _address(table: str, page: str, value: object) -> str:
    """Return the desk's page of a row, or else the admin's."""
    return reverse(page or f"admin:{table.replace('.', '_')}_change", args=[value])
