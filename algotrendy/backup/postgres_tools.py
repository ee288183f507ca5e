"""pg_dump, pg_restore and checksums of tables, for the embedded PostgreSQL and for one named by URL."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo

from algotrendy.backup.archive import CHUNK, Table
from algotrendy.backup.errors import BackupError
from algotrendy.embedded.postgres import binaries
from algotrendy.embedded.service import plain_environment

Parameters = Mapping[str, Any]  # of psycopg.connect
Connection = psycopg.Connection[tuple[Any, ...]]

NEEDS_TLS = ("require", "verify-ca", "verify-full")
# The same text for the same row on every server.
_TEXT = "SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true), " \
        "set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true)"  # fmt: skip
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY c.relname
"""
_SUM = """
SELECT count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text FROM {} t
"""


def connect(parameters: Parameters) -> Connection:
    """Open a connection of its own. Raises BackupError when the server does not answer."""
    try:
        return psycopg.connect(**parameters)
    except psycopg.OperationalError as error:
        raise BackupError(f"The database does not answer: {str(error).strip()}") from None


@contextlib.contextmanager
def snapshot(connection: Connection) -> Iterator[str]:
    """Hold one state of the whole database until the block ends; yield the name that others see it by."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    try:
        yield str(connection.execute("SELECT pg_export_snapshot()").fetchone()[0])  # type: ignore[index]
    finally:
        connection.rollback()


def tables(connection: Connection) -> dict[str, Table]:
    """Return count and checksum of every table, as the connection's transaction sees them."""
    connection.execute(_TEXT)
    names = [row[0] for row in connection.execute(_TABLES)]
    sums: dict[str, Table] = {}
    for name in names:
        for rows, checksum in connection.execute(sql.SQL(_SUM).format(sql.Identifier("public", name))):
            sums[name] = Table(rows, checksum)
    return sums


@contextlib.contextmanager
def dump(parameters: Parameters, snapshot_name: str) -> Iterator[IO[bytes]]:
    """Yield what pg_dump writes of that snapshot. Raises BackupError at the end if it failed."""
    arguments = ["-Fc", "-Z1", "--no-owner", "--no-privileges", f"--snapshot={snapshot_name}"]
    with _running("pg_dump", parameters, arguments, stdout=subprocess.PIPE) as process:
        output = cast(IO[bytes], process.stdout)
        with output:
            yield output


def restore(parameters: Parameters, source: IO[bytes]) -> None:
    """Fill the empty database with the dump that `source` gives. Raises BackupError."""
    arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "--dbname", str(parameters["dbname"])]
    with _running("pg_restore", parameters, arguments, stdin=subprocess.PIPE) as process:
        target = cast(IO[bytes], process.stdin)
        with contextlib.suppress(BrokenPipeError), target:  # its own words say why it ended
            shutil.copyfileobj(source, target, CHUNK)


@contextlib.contextmanager
def _running(
    name: str, parameters: Parameters, arguments: list[str], *, stdin: int | None = None, stdout: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program of PostgreSQL beside the block, and raise BackupError with its words if it fails."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [_program(name, parameters), *arguments], env=environment(parameters), stderr=errors,
            stdin=stdin or subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            code = process.wait()
        if code != 0:
            raise BackupError(f"{name} failed: {_last_lines(errors)}")


def environment(parameters: Parameters) -> dict[str, str]:
    """Return the environment of a program of PostgreSQL: a password on its command line would be seen by all."""
    env = plain_environment() | {"HOME": os.path.expanduser("~")}  # noqa: PTH111  (Path.home raises without one)
    for option in Conninfo.get_defaults():
        value = parameters.get(option.keyword.decode())
        if option.envvar and value not in (None, ""):
            env[option.envvar.decode()] = str(value)
    return env


def _program(name: str, parameters: Parameters) -> str:
    """Return the wheel's program; it speaks no TLS, so a server that asks for it needs the machine's."""
    if parameters.get("sslmode") not in NEEDS_TLS:
        return str(binaries() / name)
    path = shutil.which(name)
    if path is None:
        raise BackupError(
            f"DATABASE_URL asks for TLS, which the desk's own {name} does not speak: install PostgreSQL's client "
            "programs (Debian, Ubuntu: apt install postgresql-client) and run this again."
        )
    return path


def _last_lines(errors: IO[bytes]) -> str:
    errors.seek(0)
    return " ".join(errors.read().decode(errors="replace").strip().splitlines()[-3:]) or "it said nothing"
