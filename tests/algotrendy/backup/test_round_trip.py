"""Backup and restore of a database that is named by URL, and what is refused on the way."""

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection

from algotrendy import paths
from algotrendy.backup import creating, restoring
from algotrendy.backup import postgres_tools as postgres
from algotrendy.backup.archive import Table, reading
from algotrendy.backup.errors import BackupError
from algotrendy.backup.signals import database_restored
from algotrendy.supervisor import lock
from brokers.models import Connection, Desk, Order
from brokers.selectors import desk
from tests.support.pages import decided, market, source

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Path:
    """An empty data folder, for a desk whose database is named by URL."""
    folder = tmp_path / "var"
    folder.mkdir()
    settings.DATA_DIR = folder
    settings.EMBEDDED_POSTGRES = False
    return folder


@pytest.fixture
def file(data: Path) -> Path:
    """A backup of a desk with a source, a decision and its orders."""
    decided(source(), market())
    (data / "imports").mkdir()
    (data / "imports" / "20261126-candles.csv.txt").write_text("line 3: no price\n")
    path = data.parent / "desk.zip"
    creating.create(path)
    return path


@pytest.fixture
def other(data: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty database on the tests' server, as the one of DATABASE_URL; removed with what a restore keeps."""
    name = f"other_{uuid.uuid4().hex[:8]}"
    parameters = {**creating.database(), "dbname": name}
    with server() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    monkeypatch.setattr(creating, "database", lambda: parameters)
    settings.DATABASE_URL = paths.embedded_database_url(Path(os.environ["ALGOTRENDY_DATA"])).replace(
        ":5432/algotrendy", f":5432/{name}"
    )
    yield parameters
    for kept in [name, *databases(f"{name}_")]:
        with server() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {kept} WITH (FORCE)")


def server() -> "psycopg.Connection[Any]":
    parameters = connection.get_connection_params()
    kept = {name: parameters[name] for name in ("host", "port", "user") if name in parameters}
    return psycopg.connect(**kept, dbname="postgres", autocommit=True)


def databases(prefix: str) -> list[str]:
    with server() as cursor:
        rows = cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        return [row[0] for row in rows]


def tables_of(parameters: dict[str, Any]) -> dict[str, Table]:
    with postgres.connect(parameters) as opened:
        return postgres.tables(opened)


def restore(file: Path, *, replace: bool = False) -> list[str]:
    lines: list[str] = []
    restoring.restore(file, replace=replace, say=lines.append)
    return lines


def test_a_backup_comes_back_equal_with_new_ids_and_the_old_database_kept(
    file: Path, data: Path, other: dict[str, Any]
) -> None:
    with reading(file) as backup:
        wanted = backup.manifest.tables
        secrets = backup.secrets()
    lines = restore(file)
    assert any("counts and checksums are those of the backup" in line for line in lines)
    restored = tables_of(other)
    assert {name for name in wanted if restored[name] != wanted[name]} == {"brokers_desk"}
    with psycopg.connect(**other) as opened:
        row = opened.execute("SELECT uid FROM brokers_desk").fetchone()
        ids = {each[0] for each in opened.execute("SELECT client_order_id FROM brokers_order")}
    assert row is not None
    assert row[0] != desk().uid
    assert ids == set(Order.objects.values_list("client_order_id", flat=True))
    assert ids
    assert secrets["TOKEN_PEPPER"] in (data / "secrets.json").read_text()
    assert (data / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (data / "imports" / "20261126-candles.csv.txt").read_text() == "line 3: no price\n"
    assert len(databases(f"{other['dbname']}_replaced_")) == 1
    assert databases(f"{other['dbname']}_restoring") == []
    assert not (data / "restoring").exists()


def test_data_that_are_there_are_replaced_only_with_yes(file: Path, other: dict[str, Any]) -> None:
    with psycopg.connect(**other) as opened:
        opened.execute("CREATE TABLE mine AS SELECT 1 AS one")
    with pytest.raises(BackupError, match=r"is not empty\. Add --yes"):
        restore(file)
    assert set(tables_of(other)) == {"mine"}
    restore(file, replace=True)
    assert "mine" not in tables_of(other)
    [kept] = databases(f"{other['dbname']}_replaced_")
    assert set(tables_of({**other, "dbname": kept})) == {"mine"}


def test_a_restore_that_fails_leaves_everything_as_it_was(
    file: Path, data: Path, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise BackupError("The restored database could not be migrated")

    before = {path.name for path in data.iterdir()}
    monkeypatch.setattr(restoring, "_migrate", fail)
    with pytest.raises(BackupError, match="could not be migrated"):
        restore(file)
    assert tables_of(other) == {}
    assert databases(f"{other['dbname']}_") == []
    assert {path.name for path in data.iterdir()} - before <= {"run"}


def test_rows_that_differ_from_the_backup_are_never_put_in_place(
    file: Path, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = postgres.restore

    def lose_a_row(parameters: dict[str, Any], dump: Any) -> None:
        fill(parameters, dump)
        with psycopg.connect(**parameters) as opened:
            opened.execute("UPDATE brokers_order SET quantity = quantity + 0.0000000001")

    monkeypatch.setattr(postgres, "restore", lose_a_row)
    with pytest.raises(BackupError, match="not what was backed up: brokers_order differ"):
        restore(file)
    assert tables_of(other) == {}


def test_a_database_that_somebody_uses_is_not_replaced(file: Path, other: dict[str, Any]) -> None:
    with psycopg.connect(**other), pytest.raises(BackupError, match=r"1 connections to .* are open"):
        restore(file)


def test_a_running_desk_is_not_replaced(file: Path, data: Path, other: dict[str, Any]) -> None:
    (data / "run").mkdir()
    with lock.take(data / "run", "http://127.0.0.1:8000"), pytest.raises(BackupError, match="already running"):
        restore(file)


@pytest.fixture
def newer(data: Path) -> Path:
    """A backup with a migration that this code does not know."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('market', '9999_x', now())")
    path = data / "newer.zip"
    try:
        creating.create(path)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = '9999_x'")
    return path


def test_a_backup_of_a_newer_desk_is_refused(newer: Path, other: dict[str, Any]) -> None:
    with pytest.raises(BackupError, match=r"does not know market\.9999_x .* update this desk first"):
        restore(newer)


def test_a_database_that_is_no_desk_is_said_to_be_none(data: Path, other: dict[str, Any]) -> None:
    with pytest.raises(BackupError, match="could not be read"):
        creating.create(data / "desk.zip")
    assert not (data / "desk.zip").exists()


def test_a_role_that_may_not_create_databases_is_told_what_is_missing(file: Path, other: dict[str, Any]) -> None:
    with server() as cursor:
        cursor.execute("DROP ROLE IF EXISTS lowly")
        cursor.execute("CREATE ROLE lowly LOGIN")
    try:
        lowly = {**other, "user": "lowly"}
        with pytest.raises(BackupError, match="may not create databases"), restoring._maintenance(lowly):
            pass
    finally:
        with server() as cursor:
            cursor.execute("DROP ROLE lowly")


def test_a_backup_sees_one_state_while_the_desk_works(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row written between the counting and the dump is in neither."""
    dump = postgres.dump

    def write_first(parameters: dict[str, Any], name: str) -> Any:
        with psycopg.connect(**connection_parameters()) as opened:
            opened.execute("INSERT INTO auth_group (name) VALUES ('late')")
        return dump(parameters, name)

    monkeypatch.setattr(postgres, "dump", write_first)
    manifest = creating.create(data / "desk.zip")
    assert manifest.tables["auth_group"].rows == Group.objects.count() - 1
    name = f"snap_{uuid.uuid4().hex[:8]}"
    with server() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        with reading(data / "desk.zip") as backup, backup.open("database.dump") as source:
            postgres.restore({**connection_parameters(), "dbname": name}, source)
        assert tables_of({**connection_parameters(), "dbname": name}) == manifest.tables
    finally:
        with server() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


def connection_parameters() -> dict[str, Any]:
    return dict(creating.database())


def test_a_backup_does_not_replace_a_file(data: Path) -> None:
    path = data / "desk.zip"
    path.write_text("mine")
    with pytest.raises(BackupError, match="exists already"):
        creating.create(path)
    assert path.read_text() == "mine"


def test_a_password_is_not_on_the_command_line_of_any_program() -> None:
    env = postgres.environment({"host": "db", "password": "hunter2", "dbname": "desk", "sslmode": "prefer"})
    assert (env["PGHOST"], env["PGPASSWORD"], env["PGDATABASE"], env["PGSSLMODE"]) == (
        "db", "hunter2", "desk", "prefer",
    )  # fmt: skip


def test_a_server_that_asks_for_tls_needs_the_programs_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(BackupError, match="install PostgreSQL's client programs"):
        postgres._program("pg_dump", {"sslmode": "verify-full"})


class TestBeforeAnUpdate:
    """`prepare` backs up before it migrates a database that holds something."""

    @pytest.fixture(autouse=True)
    def pending(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        missing = ["market.0099_more", "brokers.0099_more"]
        monkeypatch.setattr("dashboard.management.commands.prepare.unapplied_migrations", lambda: missing)

    def prepare(self, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
        call_command("prepare", clean=True, **options)
        return capsys.readouterr().err

    def test_it_says_so_and_how_to_go_back(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = self.prepare(capsys)
        [path] = (data / "backups").iterdir()
        assert path.name.startswith("before-update-20")
        assert path.name.endswith(f"-to-{creating.version()}.zip")
        assert "Wrote a backup before 2 changes of tables" in words
        assert f"./mem restore {path} --yes" in words
        with reading(path) as backup:
            assert "django_migrations" in backup.manifest.tables

    def test_the_newest_three_are_kept_and_no_backup_of_a_person_goes(
        self, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = data / "backups"
        folder.mkdir()
        names = [f"before-update-2025-0{month}-01T000000Z-to-2.5.0.zip" for month in range(1, 6)]
        for name in [*names, "desk-2020-01-01T000000Z-2.5.0.zip"]:
            (folder / name).touch()
        self.prepare(capsys)
        kept = sorted(path.name for path in folder.iterdir())
        assert kept[:2] == names[3:]
        assert kept[2].endswith(f"-to-{creating.version()}.zip")
        assert kept[3:] == ["desk-2020-01-01T000000Z-2.5.0.zip"]

    def test_a_dump_that_fails_stops_the_update_with_words(
        self, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full(*_: object) -> NoReturn:
            raise OSError(errno.ENOSPC, "No space left on device")

        migrated: list[str] = []
        monkeypatch.setattr(creating, "_write", full)
        monkeypatch.setattr(
            "dashboard.management.commands.prepare.call_command", lambda name, **_: migrated.append(name)
        )
        with pytest.raises(CommandError, match=r"nothing was changed.*No space left.*--without-dump"):
            self.prepare(capsys)
        assert migrated == []
        assert list((data / "backups").iterdir()) == []
        self.prepare(capsys, without_dump=True)
        assert migrated == ["migrate"]

    def test_nothing_is_written_for_a_database_without_tables(
        self, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prepare = "dashboard.management.commands.prepare"
        monkeypatch.setattr(f"{prepare}.MigrationRecorder.applied_migrations", lambda self: {})
        monkeypatch.setattr(f"{prepare}.call_command", lambda name, **_: None)
        assert "backup" not in self.prepare(capsys)
        assert not (data / "backups").exists()


def test_nothing_is_written_when_no_update_is_due(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("prepare", clean=True)
    assert not (data / "backups").exists()


def test_a_restored_desk_that_trades_money_elsewhere_is_halted() -> None:
    before = desk().uid
    database_restored.send(object)
    assert desk().uid != before
    assert desk().state == Desk.State.ACTIVE
    Connection.objects.create(name="money", venue="elsewhere", mode=Connection.Mode.LIVE)
    database_restored.send(object)
    assert desk().state == Desk.State.HALTED
    assert "./mem reconcile" in desk().reason
