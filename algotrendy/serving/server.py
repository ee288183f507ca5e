"""How ASGI applications are served: web (the door, Django and the live socket) and the door on its own."""

import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from algotrendy.serving.descriptors import raise_limit

if TYPE_CHECKING:
    import uvicorn

GRACE_SECONDS = 5
Application = Callable[..., Awaitable[None]]


def serve(application: Application, *, host: str, port: int, fd: int | None = None) -> None:
    """Serve `application` in this process until a signal ends it; with `fd` on a socket that is already open."""
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    server(application, host=host, port=port, limit=raise_limit()).run(sockets=sockets)


def server(application: Application, *, host: str, port: int, limit: int) -> "uvicorn.Server":
    """Return the server of `application`, for a process that may have so many descriptors open.

    Forwarded headers are left alone: the door and Django each believe only the proxies in their settings.
    """
    import uvicorn

    from algotrendy.serving.protocol import bounded

    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http=bounded(limit),
        ws="websockets-sansio",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=65,  # above the 60 s after which common proxies let go of an idle connection
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws_max_size=65536,
        # Live updates are a few rows each: compressing them for every socket costs more than it saves.
        ws_per_message_deflate=False,
        backlog=2048,
    )
    return uvicorn.Server(config)
