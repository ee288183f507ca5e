"""From which pages the live socket may be opened."""

from typing import cast
from urllib.parse import urlsplit

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope, WebSocketScope
from channels.security.websocket import OriginValidator
from django.conf import settings

ORIGIN = b"origin"


class OwnPagesOnly(OriginValidator):  # type: ignore[misc]
    """Lets pages of this desk's own hosts open a socket; an Origin that is no address is none of them."""

    def __init__(self, application: ASGI3Application) -> None:
        super().__init__(application, settings.ALLOWED_HOSTS)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Refuse an Origin that can't be read like one that is none of ours: it is no error of the desk."""
        headers = cast(WebSocketScope, scope)["headers"]
        if not all(_is_address(value) for name, value in headers if name == ORIGIN):
            scope = cast(Scope, {**scope, "headers": [header for header in headers if header[0] != ORIGIN]})
        await super().__call__(scope, receive, send)


def _is_address(origin: bytes) -> bool:
    try:
        _ = urlsplit(origin.decode("latin-1")).port
    except ValueError:
        return False
    return True
