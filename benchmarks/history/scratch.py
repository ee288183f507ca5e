"""Databases of a benchmark's own, and the processes that work on one of them each, asked line by line."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from algotrendy import paths
from algotrendy.testing import embedded_services

FIRST = "algotrendy"


class Worker:
    """A process that runs `module` on one database and answers each line with one of JSON."""

    def __init__(self, module: str, data: Path, database: str) -> None:
        host = quote(str(paths.socket_dir(data)), safe="")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ALGOTRENDY_")}
        environment |= {
            "ALGOTRENDY_DATA": str(data),
            "DATABASE_URL": f"postgres://postgres@{host}:5432/{database}",
            "LOG_LEVEL": "CRITICAL",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", module], env=environment, cwd=paths.BASE_DIR,
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1,
        )  # fmt: skip

    def ask(self, line: str) -> dict[str, Any]:
        """Return the answer to a line. Raises RuntimeError if the process ended."""
        values: dict[str, Any] = json.loads(self.answer(line))
        return values

    def answer(self, line: str) -> str:
        """Return the answer as it was written. Raises RuntimeError if the process ended."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"the process ended at {line}")
        return answer

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def database_server() -> Iterator[Path]:
    """Run a PostgreSQL and a Valkey until the block ends, with the desk's tables in the first database."""
    with tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder).resolve() / "var"
        data.mkdir(mode=0o700)
        with embedded_services(data):
            environment = os.environ | {"ALGOTRENDY_DATA": str(data)}
            environment.pop("DATABASE_URL", None)
            subprocess.run(
                [sys.executable, "manage.py", "prepare", "--clean"], env=environment, cwd=paths.BASE_DIR,
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            yield data


def copy_first(data: Path, name: str) -> None:
    """Make a second database of the first as it is."""
    execute(data, "postgres", [f"CREATE DATABASE {name} TEMPLATE {FIRST}"])


def execute(data: Path, database: str, statements: Iterable[str]) -> None:
    """Run statements in a database, each in a transaction of its own."""
    host = str(paths.socket_dir(data))
    with psycopg.connect(host=host, user="postgres", dbname=database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@contextlib.contextmanager
def stopped_at_the_end(*workers: Worker) -> Iterator[None]:
    """End the processes with the block."""
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
