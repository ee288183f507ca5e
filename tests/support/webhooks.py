"""A real door on a real port, and senders, for the tests of the webhooks."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.apps import apps
from django.db import connections, transaction

from algotrendy.serving.server import server
from brokers.models import Connection
from webhooks import keys
from webhooks.door.app import Door
from webhooks.models import Source

TOKEN = "a-token-that-nobody-guesses"
SIGNAL = {"symbol": "BTCUSDT", "action": "buy", "price": "50000"}


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tests that really commit, for a door with a connection of its own; the desk's tables are emptied at the end.

    Deleting a few rows takes a tenth of the time of pytest-django's truncation of all tables. A module that uses
    this needs at least one test with the mark `django_db`: pytest-django makes no database without one.
    """
    with django_db_blocker.unblock():
        yield
        empty_desk()
        connections.close_all()


def empty_desk() -> None:
    labels = ("webhooks", "memory", "brokers", "paper", "market", "isolation", "history")
    with transaction.atomic():
        for model in [model for label in labels for model in apps.get_app_config(label).get_models()]:
            model._default_manager.all()._raw_delete("default")


def make_source(name: str = "strategy", token: str = TOKEN, **fields: Any) -> Source:
    connection, _ = Connection.objects.get_or_create(name="paper")
    return Source.objects.create(
        name=name, slug=name, token_hash=keys.digest(token), token_hint=token[-4:], connection=connection, **fields
    )


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    """What stands behind the door in these tests."""
    if scope["type"] != "http":
        raise ValueError("only http")
    await send({"type": "http.response.start", "status": 418, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Nudges(list[int]):
    """Remembers nudges instead of sending them."""

    def __call__(self, alert_id: int) -> None:
        self.append(alert_id)


class Gate:
    """A door served by uvicorn in a thread."""

    def __init__(self, nudge: Any) -> None:
        self.nudges = nudge
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.door = Door(not_found, nudge)
        self.server = server(self.door, host="127.0.0.1", port=0, limit=20_000)

    def run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self.socket]))

    def address(self, token: str = TOKEN) -> str:
        return f"{self.url}/webhooks/tradingview/{token}"

    def post(self, body: Any = SIGNAL, token: str = TOKEN, **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(self.address(token), content=content, timeout=10, **options)


@contextlib.contextmanager
def open_gate(nudge: Any = None, **settings: Any) -> Iterator[Gate]:
    gate = Gate(Nudges() if nudge is None else nudge)
    thread = threading.Thread(target=gate.run)
    thread.start()
    try:
        yield gate
    finally:
        gate.server.should_exit = True
        thread.join(timeout=15)
        assert not thread.is_alive()


async def post_together(gate: Gate, bodies: list[bytes], token: str = TOKEN) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=len(bodies))
    async with httpx.AsyncClient(limits=limits, timeout=10) as client:
        return list(await asyncio.gather(*[client.post(gate.address(token), content=body) for body in bodies]))


class Cable:
    """A wire to the test database that can be cut in the middle of anything, and mended."""

    def __init__(self, folder: Path, real: Path) -> None:
        self.folder = folder
        self.real = real
        self.path = folder / ".s.PGSQL.5432"
        self.ends: list[socket.socket] = []
        self.listener: socket.socket | None = None
        self.cut_at: Callable[[bytes], bool] = lambda data: False
        self.mend()

    def mend(self) -> None:
        self.path.unlink(missing_ok=True)
        self.cut_at = lambda data: False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.path.unlink(missing_ok=True)
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ends.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self.real))
                self.ends += [near, far]
                for here, there in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(here, there), daemon=True).start()

    def _carry(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError), here, there:
            while data := here.recv(65536):
                if self.cut_at(data):
                    self.cut()
                    return
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)
