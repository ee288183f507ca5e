"""Which socket address leads where."""

from django.urls import path

from dashboard.consumers import DeskConsumer

websocket_urlpatterns = [path("ws/desk/", DeskConsumer.as_asgi())]
