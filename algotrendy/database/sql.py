"""Short SQL for the way of an order.

Between an alert and its fill every millisecond counts, and most of what the ORM takes there is writing the same
few statements anew for every order. What runs for every order is written as SQL; all else uses the ORM. What that
saves, and what lost, is in docs/adr/0011-plain-sql-on-the-way-of-an-order.md.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, TypeVar, overload, runtime_checkable

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)
N = TypeVar("N", bound=Model)
P = TypeVar("P", bound=Model)
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
    select = _select(model)
    read = values(f"SELECT {select.columns} FROM {select.table} {rest}", *params)  # noqa: S608 - our own names
    return [_instance(model, select, row) for row in read]


@overload
def joined(models: tuple[type[M], type[N]], rest: str, *params: object) -> list[tuple[M, N]]: ...
@overload
def joined(models: tuple[type[M], type[N], type[P]], rest: str, *params: object) -> list[tuple[M, N, P]]: ...
def joined(models: Sequence[type[Model]], rest: str, *params: object) -> Sequence[tuple[Model, ...]]:
    """Return instances of several models for `SELECT their columns FROM their tables` and the `rest`."""
    selects = [_select(model) for model in models]
    columns = ", ".join(select.columns for select in selects)
    tables = ", ".join(select.table for select in selects)
    read = values(f"SELECT {columns} FROM {tables} {rest}", *params)  # noqa: S608 - our own names
    ends = list(accumulate(len(select.names) for select in selects))
    parts = [*zip(models, selects, [0, *ends], ends, strict=False)]
    return [tuple(_instance(model, select, row[start:end]) for model, select, start, end in parts) for row in read]


def first(model: type[M], rest: str, *params: object) -> M | None:
    """Return the first instance of `rows`, None without any."""
    return next(iter(rows(model, rest, *params)), None)


class _Select(NamedTuple):
    """How a model is read: table and columns as they stand in a query, attributes, and their converters."""

    table: str
    columns: str
    names: list[str]
    converters: Sequence[tuple[int, Callable[[object], object]]]


@lru_cache(maxsize=64)
def _select(model: type[Model]) -> _Select:
    fields = model._meta.concrete_fields
    table = f'"{model._meta.db_table}"'
    columns = ", ".join(f'{table}."{field.column}"' for field in fields)
    converters = [
        (place, _converter(field)) for place, field in enumerate(fields) if isinstance(field, _ConvertedField)
    ]
    return _Select(table, columns, [field.attname for field in fields], converters)


def _converter(field: _ConvertedField) -> Callable[[object], object]:
    return lambda value: field.from_db_value(value, None, connection)


def _instance(model: type[M], select: _Select, row: Row) -> M:
    changed = list(row)
    for place, convert in select.converters:
        changed[place] = convert(changed[place])
    return model.from_db(connection.alias, select.names, changed)
