"""The ASGI application: the door in front, then the live socket and Django."""

import os
from typing import cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "algotrendy.settings")

from django.core.asgi import get_asgi_application

_django = get_asgi_application()  # loads the apps, so it comes before everything that needs them

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

import dashboard.urls  # noqa: E402, F401 (registers the live regions that the socket may ask for)
from algotrendy.serving.kept_nowhere import kept_nowhere  # noqa: E402
from dashboard.live.origins import OwnPagesOnly  # noqa: E402
from dashboard.live.routing import websocket_urlpatterns  # noqa: E402
from webhooks.door.app import Door  # noqa: E402

_http = cast(ASGI3Application, _django)
_live = OwnPagesOnly(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
application = Door(ProtocolTypeRouter({"http": kept_nowhere(_http), "websocket": _live}))


MACHINE_PATHS = ("/healthz", "/readyz", "/prometheus")


async def machines_only(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer what watches the process, and 404 to all else: what stands behind the door when it is alone."""
    if scope["type"] == "http" and scope["path"] in MACHINE_PATHS:
        await _django(dict(scope), receive, send)  # type: ignore[arg-type]  # django-stubs: any event may be sent
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        body = b"Only /webhooks/ is served here.\n"
        await send({"type": "http.response.start", "status": 404, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000, "reason": None})


def door_alone() -> Door:
    """Return the door with nothing behind it but the paths of machines."""
    return Door(machines_only)
