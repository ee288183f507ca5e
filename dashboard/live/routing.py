"""Which socket address leads where."""

from django.urls import path

from dashboard.live.consumers import DeskConsumer

websocket_urlpatterns = [path("ws/desk/", DeskConsumer.as_asgi())]
