"""Doing several things at the same moment, each with a database connection of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, connections

T = TypeVar("T")


def in_threads(*jobs: Callable[[], T]) -> list[T]:
    """Start all jobs at the same moment and return their results; raise what any of them raised."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        try:
            start.wait()
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@contextmanager
def after_statement(text: str, job: Callable[[], object]) -> Iterator[list[str]]:
    """Do `job`, once and to its commit, right after the first statement with `text` in it that this thread runs.

    `job` has a database connection of its own. Yield a list that holds the statement when that has happened.
    """
    seen: list[str] = []

    def watch(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if text in sql and not seen:
            seen.append(sql)
            in_threads(job)
        return result

    with connection.execute_wrapper(watch):
        yield seen
