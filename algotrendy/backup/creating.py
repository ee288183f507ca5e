"""Making a backup: of one state of the whole database, while the desk works or while it is down."""

import contextlib
import io
import json
import shutil
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connections

from algotrendy import paths
from algotrendy import secrets as secret_file
from algotrendy.backup import postgres_tools as postgres
from algotrendy.backup.archive import DATABASE, REPORT, SECRETS, Manifest, Writer, writing
from algotrendy.backup.errors import BackupError
from algotrendy.embedded.postgres import Postgres
from algotrendy.embedded.service import private_folder
from algotrendy.embedded.temporary import running
from algotrendy.supervisor import lock

FOLDER = "backups"
KEPT = 3  # dumps before updates
_MIGRATIONS = "SELECT app || '.' || name FROM django_migrations ORDER BY 1"


def version() -> str:
    """Return the version of this code."""
    with (paths.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def default_path() -> Path:
    """Return where a backup goes that was given no name."""
    return settings.DATA_DIR / FOLDER / f"desk-{_now()}-{version()}.zip"


def create(path: Path) -> Manifest:
    """Write a backup of the desk to the new file `path`. Raises BackupError."""
    if path.exists():
        raise BackupError(f"{path} exists already: give another name, or remove it.")
    if path.parent == settings.DATA_DIR / FOLDER:
        private_folder(path.parent)
    try:
        with writing(path) as writer:
            return _write(writer)
    except OSError as error:
        raise BackupError(f"The backup could not be written: {error}. {_room(path)}") from error
    except psycopg.Error as error:
        raise BackupError(f"The database could not be read: {str(error).strip()}") from error


def before_update() -> Path:
    """Write a backup from before the tables change; keep the newest three of those. Raises BackupError."""
    path = settings.DATA_DIR / FOLDER / f"before-update-{_now()}-to-{version()}.zip"
    create(path)
    for older in sorted(path.parent.glob("before-update-*.zip"))[:-KEPT]:
        older.unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def database_up() -> Iterator[None]:
    """Have the database answer until the block ends: the embedded one of a desk that is down is started for it."""
    if not settings.EMBEDDED_POSTGRES or lock.holder(settings.DATA_DIR / "run"):
        yield
        return
    data: Path = settings.DATA_DIR
    if not (data / "postgres").exists():
        raise BackupError(f"There is no desk in {data}: nothing to back up.")
    private_folder(data / "run")
    server = Postgres(data)
    with lock.take(data / "run", "a backup"), words_of_the_server(), running(server, data / "run" / "backup.log"):
        yield


@contextlib.contextmanager
def words_of_the_server() -> Iterator[None]:
    """Turn what a server says that does not start into a BackupError."""
    try:
        yield
    except RuntimeError as error:
        raise BackupError(str(error)) from error


def _write(writer: Writer) -> Manifest:
    parameters = database()
    with postgres.connect(parameters) as connection, postgres.snapshot(connection) as name:
        manifest = Manifest(
            version=version(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            postgres=str(connection.info.server_version),
            migrations=[row[0] for row in connection.execute(_MIGRATIONS)],
            tables=postgres.tables(connection),
        )
        with postgres.dump(parameters, name) as output:
            writer.add(DATABASE, output)
    writer.add(SECRETS, io.BytesIO(json.dumps(_secrets()).encode()))
    for report in sorted((settings.DATA_DIR / "imports").glob("*")):
        if report.is_file() and not report.is_symlink() and REPORT.fullmatch(f"imports/{report.name}"):
            with report.open("rb") as file:
                writer.add(f"imports/{report.name}", file)
    return writer.finish(manifest)


def database() -> dict[str, object]:
    """Return the parameters of a connection to the desk's database, apart from what is Django's own."""
    parameters = connections["default"].get_connection_params()
    return {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context", "pool")}


def _secrets() -> dict[str, str]:
    """Return the secrets that the desk works with, those set in its environment included."""
    own = secret_file.load_or_create(settings.DATA_DIR)
    return own | {name: str(getattr(settings, name)) for name in secret_file.NAMES}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"


def _room(path: Path) -> str:
    place = next(folder for folder in path.absolute().parents if folder.exists())
    return f"{shutil.disk_usage(place).free / 1e9:.2f} GB are free at {place}."
