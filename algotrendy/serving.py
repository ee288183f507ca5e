"""How ASGI applications are served: web (the door, Django and the live socket) and the door on its own."""

import socket
from collections.abc import Awaitable, Callable

GRACE_SECONDS = 5


def serve(application: Callable[..., Awaitable[None]], *, host: str, port: int, fd: int | None = None) -> None:
    """Serve `application` in this process until a signal ends it; with `fd` on a socket that is already open.

    Forwarded headers are left alone: the door and Django each believe only the proxies in their settings.
    """
    import uvicorn

    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
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
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    uvicorn.Server(config).run(sockets=sockets)
