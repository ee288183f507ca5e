"""Showing that a lock is taken: hold it elsewhere, and see who waits. Judged by PostgreSQL, never by a clock."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeVar

from django.db import connection, connections, transaction

from algotrendy.locks import release, try_hold

T = TypeVar("T")


@contextmanager
def held_elsewhere(
    job: Callable[[], object], undo: Callable[[], object] = lambda: None
) -> Iterator[Callable[[], None]]:
    """Run `job` in a transaction of another connection and keep it open for the block; yields what ends it.

    `undo` is done after that transaction, on the same connection.
    """
    ready, over = threading.Event(), threading.Event()
    problems: list[BaseException] = []

    def hold() -> None:
        try:
            with transaction.atomic():
                job()
                ready.set()
                over.wait(60)
            undo()
        except BaseException as problem:
            problems.append(problem)
        finally:
            ready.set()
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(60)

    def end() -> None:
        over.set()
        thread.join(60)

    try:
        assert not problems, problems
        yield end
    finally:
        end()


def lock_held_elsewhere(name: str) -> AbstractContextManager[Callable[[], None]]:
    """Hold the named lock of another session for the block, and give it back before its connection is closed.

    PostgreSQL frees what a closed connection held a moment after the close.
    """
    return held_elsewhere(partial(try_hold, name), partial(release, name))


@contextmanager
def impatient() -> Iterator[None]:
    """Raise OperationalError in the block as soon as PostgreSQL makes this connection wait for a lock."""
    _run("SET lock_timeout = '200ms'")
    try:
        yield
    finally:
        _run("RESET lock_timeout")


def meeting(uncommitted: Callable[[], object], job: Callable[[], T]) -> T:
    """Return what `job` returns: it meets `uncommitted`, which is committed once the job waits for a lock."""

    def run() -> T:
        try:
            return job()
        finally:
            connections.close_all()

    with held_elsewhere(uncommitted) as end, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run)
        until_somebody_waits(unless=answer.done)
        end()
        return answer.result(60)


def until_somebody_waits(unless: Callable[[], bool] = lambda: False) -> None:
    """Return once a connection to this database waits for a lock; fail at once where that can't come any more."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(3000):
        if _run(query):
            return
        if unless():
            break
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def _run(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0]) if cursor.description else 0
