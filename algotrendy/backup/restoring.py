"""Restoring a backup: beside the old desk, compared with what was backed up, and only then in its place."""

import contextlib
import os
import secrets as randomness
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from algotrendy import paths
from algotrendy import secrets as secret_file
from algotrendy.backup import creating, exchange
from algotrendy.backup import postgres_tools as postgres
from algotrendy.backup.archive import DATABASE, Manifest, Reader, reading
from algotrendy.backup.errors import BackupError
from algotrendy.embedded.postgres import DATABASE as EMBEDDED_NAME
from algotrendy.embedded.postgres import Postgres
from algotrendy.embedded.service import private_folder
from algotrendy.embedded.temporary import running
from algotrendy.supervisor import lock

Say = Callable[[str], object]
_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def restore(path: Path, *, replace: bool, say: Say) -> None:
    """Restore the backup `path`; with `replace` in the place of a desk that is there. Raises BackupError."""
    data: Path = settings.DATA_DIR
    with reading(path) as backup:
        _refuse_newer(backup.manifest)
        say(f"The backup is whole: version {backup.manifest.version}, of {backup.manifest.created}")
        private_folder(data / "run")
        try:
            held = lock.take(data / "run", "a restore")
        except lock.AlreadyRunning as error:
            raise BackupError(f"The desk is {error}: stop it first (Ctrl-C in its terminal).") from None
        with held:
            exchange.finish(data)
            place = _embedded if settings.EMBEDDED_POSTGRES else _external
            place(backup, data, replace, say)


def _refuse_newer(manifest: Manifest) -> None:
    known = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    if newer := sorted(set(manifest.migrations) - known):
        raise BackupError(
            f"The backup was made by another version ({manifest.version}) than this ({creating.version()}), which "
            f"does not know {newer[0]} and {len(newer) - 1} more changes of its tables: update this desk first."
        )


def _embedded(backup: Reader, data: Path, replace: bool, say: Say) -> None:
    if (data / "postgres").exists() and not replace:
        raise BackupError(_asks_for_yes(f"There is a desk in {data} already"))
    staging = _stage(backup, data)
    server = Postgres(staging)
    parameters = {"host": str(server.sockets), "port": 5432, "user": "postgres", "dbname": EMBEDDED_NAME}
    try:
        with creating.words_of_the_server(), running(server, data / "run" / "restore.log"):
            _fill(backup, parameters, say)
            _migrate({"ALGOTRENDY_DATA": str(staging)}, without="DATABASE_URL")
        old = exchange.begin(data)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _say_where(old, say)


def _external(backup: Reader, data: Path, replace: bool, say: Say) -> None:
    """Restore into a new database of the same server, and give it the name of the old one."""
    parameters = creating.database()
    name = str(parameters["dbname"])
    with postgres.connect(parameters) as connection:
        if postgres.tables(connection) and not replace:
            raise BackupError(_asks_for_yes(f"The database {name} of DATABASE_URL is not empty"))
        _refuse_while_used(connection, name)
    staging = _stage(backup, data)
    try:
        kept = _build_beside(backup, parameters, staging, say)
        old = exchange.begin(data, aside=("secrets.json", "imports", "valkey"))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    say(f"The database before is kept as {kept}: drop it once all is well.")
    _say_where(old, say)


def _build_beside(backup: Reader, parameters: postgres.Parameters, staging: Path, say: Say) -> str:
    """Fill a new database, give it the old one's name, and return the name under which the old one is kept."""
    name = str(parameters["dbname"])
    new, kept = f"{name}_restoring", f"{name}_replaced_{randomness.token_hex(3)}"
    with _maintenance(parameters) as server:
        _run(server, "DROP DATABASE IF EXISTS {}", new)
        _run(server, "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", new)
        try:
            _fill(backup, {**parameters, "dbname": new}, say)
            _migrate({"ALGOTRENDY_DATA": str(staging), "DATABASE_URL": _renamed(settings.DATABASE_URL, new)})
            with server.transaction():
                _run(server, "ALTER DATABASE {} RENAME TO {}", name, kept)
                _run(server, "ALTER DATABASE {} RENAME TO {}", new, name)
        except BaseException:
            _run(server, "DROP DATABASE IF EXISTS {}", new)
            raise
    return kept


def _run(server: postgres.Connection, statement: LiteralString, *names: str) -> None:
    try:
        server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
    except psycopg.Error as error:
        raise BackupError(f"The server refused: {str(error).strip()}") from error


def _asks_for_yes(what: str) -> str:
    return f"{what}. Add --yes to put the backup in its place; what is there now is kept aside."


def _say_where(old: Path, say: Say) -> None:
    say(f"What was in the data folder before is kept in {old}: remove it once all is well.")


def _refuse_while_used(connection: postgres.Connection, name: str) -> None:
    others = sum(row[0] for row in connection.execute(_OTHERS))
    if others:
        raise BackupError(f"{others} connections to {name} are open: stop every process of the desk first.")


def _stage(backup: Reader, data: Path) -> Path:
    """Make the folder in which the restored desk is put together, with all of it but the database."""
    staging = data / exchange.STAGING
    shutil.rmtree(staging, ignore_errors=True)
    for folder in (staging, staging / "run", staging / "imports"):
        private_folder(folder)
    if os.geteuid() == 0:  # where PostgreSQL gives up root, it has to walk through here; it cannot list or read
        for folder in (data, staging):
            folder.chmod(0o711)
    secret_file.replace(staging / "secrets.json", backup.secrets())
    for name in backup.reports():
        target = os.open(staging / "imports" / Path(name).name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with backup.open(name) as source, os.fdopen(target, "wb") as file:
            shutil.copyfileobj(source, file)
    return staging


def _fill(backup: Reader, parameters: postgres.Parameters, say: Say) -> None:
    """Restore the database and compare every table with what was backed up."""
    with backup.open(DATABASE) as dump:
        postgres.restore(parameters, dump)
    with postgres.connect(parameters) as connection:
        restored = postgres.tables(connection)
    wanted = backup.manifest.tables
    if restored != wanted:
        names = sorted(name for name in {*restored, *wanted} if restored.get(name) != wanted.get(name))
        raise BackupError(f"What was restored is not what was backed up: {', '.join(names[:5])} differ.")
    rows = sum(table.rows for table in restored.values())
    say(f"Restored {rows:,} rows in {len(restored)} tables; counts and checksums are those of the backup")


def _migrate(environment: dict[str, str], *, without: str = "") -> None:
    """Bring the restored database up to this code, in a process of its own that has the backup's secrets."""
    env = {name: value for name, value in os.environ.items() if name != without} | environment
    command = [sys.executable, str(paths.BASE_DIR / "manage.py"), "restore", "--finish"]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupError(f"The restored database could not be migrated: {done.stderr.strip()[-2000:]}")


@contextlib.contextmanager
def _maintenance(parameters: postgres.Parameters) -> Iterator[postgres.Connection]:
    """Connect to the server beside the desk's database: one cannot rename what one is connected to."""
    with postgres.connect({**parameters, "dbname": "postgres", "autocommit": True}) as server:
        row = server.execute(
            "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        if not row or not row[0]:
            raise BackupError(
                "The role of DATABASE_URL may not create databases, and a restore builds a new one beside the "
                "old: ALTER ROLE … CREATEDB for the time of the restore."
            )
        yield server


def _renamed(url: str, name: str) -> str:
    """Return the URL with another name of the database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name)}"))
