"""The file of a backup: a ZIP of uncompressed members, with a manifest of their sizes and checksums at its end.

A file is read as hostile: nothing is unpacked by the name that it claims, and nothing is used before every byte of
it was compared with the manifest.
"""

import contextlib
import hashlib
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from algotrendy.backup.errors import BackupError

FORMAT = 1
MANIFEST, DATABASE, SECRETS = "manifest.json", "database.dump", "secrets.json"
REPORT = re.compile(r"imports/[A-Za-z0-9][\w. ()+-]{0,200}")
MOST_MANIFEST_BYTES = 16_000_000
MOST_SECRETS_BYTES = 65_536
CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """Size and SHA-256 of one member."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Table:
    """How many rows a table has, and a sum over all of them that knows no order."""

    rows: int
    checksum: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and of what it was made."""

    version: str
    created: str
    postgres: str
    migrations: list[str]
    tables: dict[str, Table]
    members: dict[str, Member] = field(default_factory=dict)
    format: int = FORMAT


class Writer:
    """Writes members one after another, and last the manifest with what they came to."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._members: dict[str, Member] = {}

    def add(self, name: str, source: IO[bytes]) -> None:
        """Add all that `source` has to give as `name`."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(name, "w", force_zip64=True) as member:
            while chunk := source.read(CHUNK):
                member.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self._members[name] = Member(size, digest.hexdigest())

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest with the members added, and return it."""
        whole = Manifest(**(vars(manifest) | {"members": self._members}))
        self._zip.writestr(MANIFEST, json.dumps(asdict(whole), indent=1))
        return whole

    def close(self) -> None:
        """Write what makes it a file that can be read. Raises OSError."""
        self._zip.close()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write the backup `path`: readable by its owner only, and there only if it is whole and on disk."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            writer = Writer(file)
            try:
                yield writer
            except BaseException:
                with contextlib.suppress(OSError, ValueError):  # what was raised first is what is wrong
                    writer.close()
                raise
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


class Reader:
    """A backup whose every byte was compared with its manifest."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zip = archive
        self.manifest = manifest

    def open(self, name: str) -> IO[bytes]:
        """Return the member `name` for reading."""
        return self._zip.open(name)

    def secrets(self) -> dict[str, str]:
        """Return the desk's secrets."""
        return _text_by_name(json.loads(self._zip.read(SECRETS)))

    def reports(self) -> list[str]:
        """Return the names of the members that are reports of imports."""
        return [name for name in self.manifest.members if REPORT.fullmatch(name)]


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open the backup `path` and examine all of it. Raises BackupError."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"The file cannot be read: {error}.") from None
    with file:
        yield _examined(file)


def _examined(file: BinaryIO) -> Reader:
    try:
        archive = zipfile.ZipFile(file)
        manifest = _manifest(archive)
        _examine(archive, manifest, os.fstat(file.fileno()).st_size)
        reader = Reader(archive, manifest)
        reader.secrets()
    except BackupError:
        raise
    except Exception as error:  # a hostile file chooses what the library stumbles over
        raise _damaged(f"{type(error).__name__}: {error}") from error
    return reader


def _damaged(why: str) -> BackupError:
    return BackupError(f"The file is damaged or no backup of a desk ({why}): nothing was restored.")


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if archive.getinfo(MANIFEST).file_size > MOST_MANIFEST_BYTES:
        raise _damaged("its manifest is too large")
    values: dict[str, Any] = json.loads(archive.read(MANIFEST))
    if values["format"] != FORMAT:
        raise BackupError(f"The file has format {values['format']!r}, and this desk knows {FORMAT}: update it.")
    members = {name: Member(int(it["size"]), str(it["sha256"])) for name, it in values["members"].items()}
    tables = {name: Table(int(it["rows"]), str(it["checksum"])) for name, it in values["tables"].items()}
    migrations = [str(name) for name in values["migrations"]]
    version, created, postgres = (str(values[name]) for name in ("version", "created", "postgres"))
    return Manifest(version, created, postgres, migrations, tables, members)


def _examine(archive: zipfile.ZipFile, manifest: Manifest, size: int) -> None:
    """Raise BackupError unless the members are those of the manifest, and nothing but plain bytes."""
    entries = archive.infolist()
    names = sorted(entry.filename for entry in entries)
    if names != sorted({*manifest.members, MANIFEST}):
        raise _damaged("its members are not those of its manifest")
    if not {DATABASE, SECRETS} <= set(names):
        raise _damaged("a part is missing")
    if sum(entry.file_size for entry in entries) > size:
        raise _damaged("its members are larger than the file")
    for entry in entries:
        _examine_entry(entry)
        if entry.filename != MANIFEST:
            _compare(archive, entry, manifest.members[entry.filename])


def _examine_entry(entry: zipfile.ZipInfo) -> None:
    name, mode = entry.filename, entry.external_attr >> 16
    if name not in (MANIFEST, DATABASE, SECRETS) and not REPORT.fullmatch(name):
        raise _damaged(f"it has a member {name!r}")
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size != entry.compress_size:
        raise _damaged(f"{name} is compressed or encrypted")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise _damaged(f"{name} is not a plain file")
    if name == SECRETS and entry.file_size > MOST_SECRETS_BYTES:
        raise _damaged("its secrets are too large")


def _compare(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, expected: Member) -> None:
    digest, size = hashlib.sha256(), 0
    with archive.open(entry) as member:
        while chunk := member.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise _damaged(f"the checksum of {entry.filename} is wrong")


def _text_by_name(values: object) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(part, str) for pair in values.items() for part in pair):
        raise _damaged("its secrets are not names and texts")
    return cast(dict[str, str], values)
