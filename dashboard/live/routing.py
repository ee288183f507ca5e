"""Which socket address leads where."""

from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from dashboard.live.consumers import DeskConsumer

websocket_urlpatterns = [
    path("ws/desk/", DeskConsumer.as_asgi()),
    re_path(r"", WebsocketDenier.as_asgi()),  # any other is refused in the same way, and not an error of the desk
]
