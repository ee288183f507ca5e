"""Where the desk keeps its data, and the addresses of its embedded services."""

import hashlib
import os
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
MAX_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS, 108 on Linux


def data_dir() -> Path:
    """Return the folder of databases, secrets and logs (`ALGOTRENDY_DATA`, else `var/`)."""
    return Path(os.environ.get("ALGOTRENDY_DATA") or BASE_DIR / "var").expanduser().resolve()


def socket_dir(data: Path) -> Path:
    """Return a folder for Unix sockets whose path is short enough for the kernel."""
    natural = data / "run"
    if len(str(natural / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
        return natural
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"algotrendy-{os.getuid()}-{digest}"


def embedded_database_url(data: Path) -> str:
    """Return the URL of the embedded PostgreSQL below `data`."""
    from urllib.parse import quote

    return f"postgres://postgres@{quote(str(socket_dir(data)), safe='')}:5432/algotrendy"


def embedded_redis_url(data: Path) -> str:
    """Return the URL of the embedded Valkey below `data`."""
    return f"unix://{socket_dir(data) / 'valkey.sock'}"
