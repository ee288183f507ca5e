"""Short SQL for the way of an order.

Between an alert and its fill every millisecond counts, and most of what the ORM takes there is writing the same
few statements anew for every order. What runs for every order is written as SQL; all else uses the ORM.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)


def values(query: str, *params: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def change(query: str, *params: Any) -> int:
    """Run a statement and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        count: int = cursor.rowcount
    return count


def rows(model: type[M], rest: str, *params: Any) -> list[M]:
    """Return instances of `model` for `SELECT its columns FROM its table` and the `rest` of the query."""
    select, names, converters = _select(model)
    found = values(f"{select} {rest}", *params)
    if converters:
        found = [_converted(row, converters) for row in found]
    return [model.from_db(connection.alias, names, row) for row in found]


def first(model: type[M], rest: str, *params: Any) -> M | None:
    """Return the first instance of `rows`, None without any."""
    return next(iter(rows(model, rest, *params)), None)


_Converters = Sequence[tuple[int, Callable[[Any], Any]]]


@lru_cache(maxsize=64)
def _select(model: type[Model]) -> tuple[str, list[str], _Converters]:
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    converters = [
        (place, _converter(field)) for place, field in enumerate(fields) if hasattr(field, "from_db_value")
    ]
    select = f'SELECT {columns} FROM "{model._meta.db_table}"'  # noqa: S608 - names of our own models
    return select, [field.attname for field in fields], converters


def _converter(field: Any) -> Callable[[Any], Any]:
    return lambda value: field.from_db_value(value, None, connection)


def _converted(row: tuple[Any, ...], converters: _Converters) -> tuple[Any, ...]:
    changed = list(row)
    for place, convert in converters:
        changed[place] = convert(changed[place])
    return tuple(changed)
