"""Short SQL for the way of an order.

Between an alert and its fill every millisecond counts, and most of what the ORM takes there is writing the same
few statements anew for every order. What runs for every order is written as SQL; all else uses the ORM. What that
saves, and what lost, is in docs/adr/0011-plain-sql-on-the-way-of-an-order.md.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar, runtime_checkable

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)
Row = tuple[Any, ...]  # as the driver reads or writes it: its types are the query's


@runtime_checkable
class _ConvertedField(Protocol):
    """A field whose values are not what the driver reads."""

    def from_db_value(self, value: object, expression: None, connection: object) -> object: ...


def values(query: str, *params: object) -> list[Row]:
    """Return the rows of a query."""
    bound: Row = params
    with connection.cursor() as cursor:
        cursor.execute(query, bound)
        rows: list[Row] = cursor.fetchall()
    return rows


def named(query: str, params: dict[str, Any]) -> list[Row]:
    """Return the rows of a query whose parameters have names."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        rows: list[Row] = cursor.fetchall()
    return rows


def change(query: str, *params: object) -> int:
    """Run a statement and return how many rows it changed."""
    bound: Row = params
    with connection.cursor() as cursor:
        cursor.execute(query, bound)
        count: int = cursor.rowcount
    return count


def change_named(query: str, params: dict[str, Any]) -> int:
    """Run a statement whose parameters have names and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        count: int = cursor.rowcount
    return count


def rows(model: type[M], rest: str, *params: object) -> list[M]:
    """Return instances of `model` for `SELECT its columns FROM its table` and the `rest` of the query."""
    select, names, converters = _select(model)
    read = values(f"{select} {rest}", *params)
    if converters:
        read = [_converted(row, converters) for row in read]
    return [model.from_db(connection.alias, names, row) for row in read]


def first(model: type[M], rest: str, *params: object) -> M | None:
    """Return the first instance of `rows`, None without any."""
    return next(iter(rows(model, rest, *params)), None)


_Converters = Sequence[tuple[int, Callable[[object], object]]]


@lru_cache(maxsize=64)
def _select(model: type[Model]) -> tuple[str, list[str], _Converters]:
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    converters = [
        (place, _converter(field)) for place, field in enumerate(fields) if isinstance(field, _ConvertedField)
    ]
    select = f'SELECT {columns} FROM "{model._meta.db_table}"'  # noqa: S608 - names of our own models
    return select, [field.attname for field in fields], converters


def _converter(field: _ConvertedField) -> Callable[[object], object]:
    return lambda value: field.from_db_value(value, None, connection)


def _converted(row: Row, converters: _Converters) -> Row:
    changed = list(row)
    for place, convert in converters:
        changed[place] = convert(changed[place])
    return tuple(changed)
