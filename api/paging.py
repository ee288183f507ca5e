"""What the lists of the API have in common: newest first, page by page by id."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar, cast

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from ninja import Path, Query
from ninja.errors import HttpError, ValidationError

M = TypeVar("M", bound=Model)
T = TypeVar("T")
P = ParamSpec("P")
LARGEST_PAGE = 200
STORABLE = r"^[^\x00]*$"
Before = Annotated[int | None, Query(ge=1, description="Only rows with a smaller id.")]
Text = Annotated[str | None, Query(pattern=STORABLE)]
Name = Annotated[str, Path(pattern=STORABLE)]
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


def known_only(view: Callable[P, T]) -> Callable[P, T]:
    """Refuse parameters that an operation does not have: a mistyped filter must not look like one that matched."""
    known = set(inspect.signature(view).parameters) - {"request"}

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        request = cast(HttpRequest, args[0])
        unknown = sorted(set(request.GET) - known)
        if unknown:
            text = "There is no such parameter."
            raise ValidationError([{"type": "unknown", "loc": ["query", name], "msg": text} for name in unknown])
        return view(*args, **kwargs)

    return guarded


def upper(text: str | None) -> str | None:
    """Return a symbol as it is stored."""
    return text.upper() if text else None
