"""What the lists of the API have in common: newest first, page by page by id."""

from typing import Annotated, TypeVar

from django.db.models import Model, QuerySet
from ninja import Query
from ninja.errors import HttpError

M = TypeVar("M", bound=Model)
LARGEST_PAGE = 200
Before = Annotated[int | None, Query(ge=1, description="Only rows with a smaller id.")]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]


def page(rows: QuerySet[M], before: int | None, limit: int, **filters: str | int | None) -> list[M]:
    """Return the newest `limit` rows that match the filters that were given, older than id `before`."""
    wanted = {name: value for name, value in filters.items() if value}
    if before is not None:
        wanted["id__lt"] = before
    return list(rows.filter(**wanted).order_by("-id")[:limit])


def require(row: M | None, what: str) -> M:
    """Return `row`; answer 404 with a sentence if there is none."""
    if row is None:
        raise HttpError(404, f"There is no such {what}.")
    return row


def upper(text: str | None) -> str | None:
    """Return a symbol as it is stored."""
    return text.upper() if text else None
