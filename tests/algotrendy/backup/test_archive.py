"""The file of a backup: whole or refused, and nothing in it can name a place to be written to."""

import errno
import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algotrendy.backup.archive import DATABASE, MANIFEST, SECRETS, Manifest, Member, Table, reading, writing
from algotrendy.backup.errors import BackupError

ABOUT = Manifest("2.6.0", "2026-11-26T18:00:00+00:00", "180004", ["market.0001_initial"], {"t": Table(3, "42")})
DUMP = b"PGDMP" * 100_000
KEYS = {"SECRET_KEY": "a", "TOKEN_PEPPER": "b"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "desk.zip"
    with writing(path) as writer:
        writer.add(DATABASE, io.BytesIO(DUMP))
        writer.add(SECRETS, io.BytesIO(json.dumps(KEYS).encode()))
        writer.add("imports/20261126-candles.csv.txt", io.BytesIO(b"line 3: no price\n"))
        writer.finish(ABOUT)
    return path


def test_what_was_written_is_read(file: Path) -> None:
    with reading(file) as backup:
        assert backup.manifest.tables == ABOUT.tables
        assert backup.manifest.members[DATABASE].size == len(DUMP)
        assert backup.secrets() == KEYS
        assert backup.reports() == ["imports/20261126-candles.csv.txt"]
        with backup.open(DATABASE) as dump:
            assert dump.read() == DUMP


def test_only_its_owner_can_read_it_and_nothing_else_is_left(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["desk.zip"]


def test_a_backup_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write() -> None:
        with writing(tmp_path / "desk.zip") as writer:
            writer.add(SECRETS, io.BytesIO(b"{}"))
            writer.add(DATABASE, Full())

    with pytest.raises(OSError, match="No space"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", [100, 250_000, 499_000])
def test_one_wrong_bit_is_noticed(file: Path, where: int) -> None:
    data = bytearray(file.read_bytes())
    data[where] ^= 1
    file.write_bytes(data)
    refuse(file)


@pytest.mark.parametrize("size", [0, 10, 250_000, -1, -200])
def test_a_file_that_was_cut_short_is_noticed(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    refuse(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere.zip", "cannot be read: .*No such file")


Change = Callable[[dict[str, Any], dict[str, tuple[bytes, dict[str, Any]]]], None]


def rewrite(file: Path, change: Change) -> None:
    """Write the backup anew as somebody would who means harm: `change` gets its manifest and its members."""
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        members: dict[str, tuple[bytes, dict[str, Any]]] = {
            name: (archive.read(name), {}) for name in archive.namelist() if name != MANIFEST
        }
    change(manifest, members)
    with zipfile.ZipFile(file, "w") as archive:
        for name, (data, attributes) in members.items():
            entry = zipfile.ZipInfo(name)
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.writestr(entry, data)
        archive.writestr(MANIFEST, json.dumps(manifest))


def add(name: str, data: bytes = b"x", **attributes: Any) -> Change:
    """A member that the manifest vouches for."""

    def change(manifest: dict[str, Any], members: dict[str, tuple[bytes, dict[str, Any]]]) -> None:
        import hashlib

        members[name] = (data, attributes)
        manifest["members"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    return change


@pytest.mark.parametrize(
    "name",
    [
        "../outside", "imports/../../outside", "imports/../secrets.json", "/etc/passwd", "imports//etc/passwd",
        "imports/.hidden", "imports/a/b", "imports/", "imports/a\\..\\b", "postgres/PG_VERSION", "C:\\outside",
        "imports/a\nb", "Secrets.json",
    ],
)  # fmt: skip
def test_a_member_that_names_another_place_is_refused(file: Path, name: str) -> None:
    rewrite(file, add(name))
    refuse(file, "it has a member")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_a_device_is_refused(file: Path, kind: int) -> None:
    rewrite(file, add("imports/link", b"/etc/passwd", external_attr=(kind | 0o777) << 16))
    refuse(file, "not a plain file")


def test_a_compressed_member_is_refused_before_it_is_blown_up(file: Path) -> None:
    rewrite(file, add("imports/bomb", bytes(50_000_000), compress_type=zipfile.ZIP_DEFLATED))
    refuse(file, "larger than the file|compressed")


def test_two_members_of_one_name_are_refused(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(SECRETS, b'{"SECRET_KEY": "another"}')
    refuse(file, "not those of its manifest")


def test_a_member_that_the_manifest_does_not_know_is_refused(file: Path) -> None:
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("imports/more.txt", b"x")
    refuse(file, "not those of its manifest")


@pytest.mark.parametrize("name", [DATABASE, SECRETS, MANIFEST])
def test_a_part_that_is_missing_is_noticed(file: Path, name: str) -> None:
    def change(manifest: dict[str, Any], members: dict[str, tuple[bytes, dict[str, Any]]]) -> None:
        members.pop(name, None)
        manifest["members"].pop(name, None)

    rewrite(file, change)
    if name == MANIFEST:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(DATABASE, b"x")
    refuse(file)


@pytest.mark.parametrize("wrong", [Member(1, "0" * 64), Member(len(DUMP), "0" * 64), Member(-1, "")])
def test_a_wrong_size_or_checksum_is_refused(file: Path, wrong: Member) -> None:
    def change(manifest: dict[str, Any], members: dict[str, tuple[bytes, dict[str, Any]]]) -> None:
        manifest["members"][DATABASE] = vars(wrong)

    rewrite(file, change)
    refuse(file, "checksum of database.dump is wrong")


@pytest.mark.parametrize("secrets", [b"[]", b"{", b'{"SECRET_KEY": 1}', b"{}" + bytes(70_000), b"\xff"])
def test_secrets_that_are_none_are_refused(file: Path, secrets: bytes) -> None:
    rewrite(file, add(SECRETS, secrets))
    refuse(file)


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 1, "members": 3}', b"\xff"]
)
def test_a_manifest_that_is_none_is_refused(file: Path, manifest: bytes) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, manifest)
    refuse(file)


def test_a_format_of_the_future_is_named(file: Path) -> None:
    rewrite(file, lambda manifest, members: manifest.update(format=2))
    refuse(file, "format 2, and this desk knows 1: update it")


def refuse(file: Path, why: str = "damaged or no backup") -> None:
    with pytest.raises(BackupError, match=why), reading(file):
        pass
