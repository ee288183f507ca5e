"""How sweeps and tasks handle their rows: each for itself, so that one that fails keeps no other waiting.

A row's failure is logged, written down (`RowFailure`) and shown on the page Health until the row succeeds or a
person clears it. Only what concerns all rows alike ends the work: a database that is away, and a task whose time
is over.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.signals import failures_changed

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

_WRITE = """
    INSERT INTO isolation_rowfailure AS failure (work, "table", key, name, error, count, first_at, last_at)
    VALUES (%(work)s, %(table)s, %(key)s, %(name)s, %(error)s, 1, %(now)s, %(now)s)
    ON CONFLICT (work, "table", key) DO UPDATE
    SET name = excluded.name, error = excluded.error, count = failure.count + 1, last_at = excluded.last_at
    RETURNING count
"""


@dataclass(frozen=True, slots=True)
class RowName:
    """Which row it is: its model's label (empty for what is no row), its key, and the row in words."""

    table: str
    key: str
    text: str


def each(
    work: str,
    rows: Iterable[T],
    handle: Callable[[T], R],
    *,
    model: type[Model] | None = None,
    key: Callable[[T], object] | None = None,
    savepoint: bool = False,
    complete: bool = False,
    swept: bool = False,
) -> list[R]:
    """Have `handle` do each of `rows` for itself; return what it returned of those that succeeded.

    `work` names the sweep or task on the page Health. `model`: rows are its primary keys. `key`: what names a row,
    where it is not the row itself (an instance, a primary key of `model`, or a text). `savepoint`: what a row
    wrote is undone when it fails; without it `handle` has transactions of its own, as it must where it calls a
    venue. `complete`: these are all the rows that this work has, so a failure of any other is over. `swept`:
    a `complete` sweep of the same work follows within seconds and forgets the failure of a row that is well, so
    that nothing is asked here. Otherwise rows that failed before come last: one that takes all of a task's time
    does so once.

    Raises what ends the work for all rows: see `ends_the_work`.
    """
    named = [(name_of(key(row) if key else row, model), row) for row in rows]
    failing = _failing(work) if complete or (named and not swept) else set()
    named.sort(key=lambda pair: _key(pair[0]) in failing)
    results = []
    for name, row in named:
        try:
            with transaction.atomic() if savepoint else nullcontext():
                results.append(handle(row))
        except Exception as error:
            _failed(work, name, error)
        else:
            if _key(name) in failing:
                clear(work, name)
    if complete:
        _forget(work, failing - {_key(name) for name, _ in named})
    return results


def together(
    work: str,
    rows: Sequence[T],
    handle: Callable[[Sequence[T]], list[R]],
    *,
    model: type[Model] | None = None,
    key: Callable[[T], object] | None = None,
) -> list[R]:
    """Have `handle` do all `rows` at once, in one transaction; if that fails, each for itself, as `each` does.

    For what is much cheaper done at once. A row alone must come to the same as among others.
    """
    try:
        with transaction.atomic():
            results = handle(rows)
    except Exception as error:
        if ends_the_work(error):
            raise
        parts = each(work, rows, lambda row: handle([row]), model=model, key=key, savepoint=True)
        return [result for part in parts for result in part]
    well = {_key(name_of(key(row) if key else row, model)) for row in rows}
    _forget(work, _failing(work) & well)
    return results


def in_turn(work: str, steps: Mapping[str, Callable[[], object]]) -> None:
    """Do the named steps of a sweep in their order; one that fails keeps none of the later ones waiting."""
    for name in steps:  # one by one: steps keep their order, also behind one that failed before
        each(work, [name], lambda step: steps[step]())


def ends_the_work(error: Exception) -> bool:
    """Tell whether `error` concerns all rows alike: a database that is away, or a task whose time is over.

    A deadlock or a time-out of one statement leaves the connection usable, and is the row's own.
    """
    if isinstance(error, SoftTimeLimitExceeded):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not connection.is_usable()


def write_failure(work: str, name: RowName, error: Exception | str) -> int:
    """Write down that a row failed; return how often in a row. The log gets the 1st, 2nd, 4th, 8th … time."""
    text = describe(error) if isinstance(error, Exception) else error
    values = {"work": work, "table": name.table, "key": clean(name.key)[:100], "name": clean(name.text)[:200]}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_WRITE, values | {"error": clean(text)[:500], "now": timezone.now()})
        count = int(cursor.fetchone()[0])
        if count & (count - 1) == 0:
            trace = error if isinstance(error, Exception) else None
            logger.error("%s: %s failed, %d in a row: %s", work, name.text, count, text, exc_info=trace)
            announce(failures_changed, RowFailure)
    return count


def clear(work: str, name: RowName) -> None:
    """Forget that a row failed: it is well again."""
    _forget(work, {_key(name)})


def clear_by_hand(failure_id: int) -> bool:
    """Forget a failure as a person says so; return whether it was there. It is back if the row still fails."""
    with transaction.atomic():
        deleted, _ = RowFailure.objects.filter(pk=failure_id).delete()
        if deleted:
            announce(failures_changed, RowFailure)
    return deleted > 0


def name_of(row: object, model: type[Model] | None = None) -> RowName:
    """Return how a row is named: a model's instance, a primary key of `model`, or anything that has a text."""
    if isinstance(row, Model):
        return RowName(row._meta.label_lower, str(row.pk), f"{row._meta.verbose_name} {row}")
    if model is not None:
        return RowName(model._meta.label_lower, str(row), f"{model._meta.verbose_name} {row}")
    return RowName("", str(row), str(row))


def describe(error: Exception) -> str:
    """Return an error in words: its kind and the first lines of what it says."""
    return f"{type(error).__name__}: {error}".strip().rstrip(":")


def clean(text: str) -> str:
    """Return `text` without the one character that PostgreSQL can't store."""
    return text.replace("\0", "�")


def _failed(work: str, name: RowName, error: Exception) -> None:
    if isinstance(error, SoftTimeLimitExceeded):
        write_failure(work, name, "it took so long that the task ended; the others come first next time")
    if ends_the_work(error):
        raise error
    write_failure(work, name, error)


def _key(name: RowName) -> tuple[str, str]:
    return name.table, clean(name.key)[:100]


def _failing(work: str) -> set[tuple[str, str]]:
    return set(RowFailure.objects.filter(work=work).values_list("table", "key"))


def _forget(work: str, keys: set[tuple[str, str]]) -> None:
    """Forget failures of rows that are well, or that this work has no more."""
    if not keys:
        return
    with transaction.atomic():
        for table, key in sorted(keys):
            RowFailure.objects.filter(work=work, table=table, key=key).delete()
        announce(failures_changed, RowFailure)
