"""Keyset pages: newest first, by id, without ever counting. A page costs the same on row ten and ten million."""

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from dashboard.live.topics import MAX_ID

M = TypeVar("M", bound=Model)
WHOLE = re.compile(r"[0-9]{1,19}")
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Rows of one page. `older` is the value of `before` that leads to the next one; None on the last."""

    rows: list[M]
    before: int | None
    older: int | None

    @property
    def is_first(self) -> bool:
        """Whether this is the newest page: the one that is kept live."""
        return self.before is None


def page_of(rows: QuerySet[M], before: int | None = None, size: int = PAGE_SIZE) -> Page[M]:
    """Return the `size` newest of `rows` with an id below `before`. One query."""
    if before is not None:
        rows = rows.filter(pk__lt=before)
    newest = list(rows.order_by("-pk")[: size + 1])
    older = newest[size - 1].pk if len(newest) > size else None
    return Page(newest[:size], before, older)


def before_of(request: HttpRequest) -> int | None:
    """Return the `before` parameter of a request; None when it is missing or no id."""
    text = request.GET.get("before", "")
    value = int(text) if WHOLE.fullmatch(text) else -1
    return value if 0 <= value <= MAX_ID else None


def requested_page(request: HttpRequest, rows: QuerySet[M], size: int = PAGE_SIZE) -> Page[M]:
    """Return the page of `rows` that the request asks for."""
    return page_of(rows, before_of(request), size)
