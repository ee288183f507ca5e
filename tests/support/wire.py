"""A server of the desk's own kind in a thread, and raw sockets to it."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from algotrendy.serving.server import server

LIMIT = 20_000


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what came: path and length of the body; accept every socket."""
    if scope["type"] == "lifespan":
        raise ValueError("only http and websocket")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        size, more = size + len(event["body"]), event["more_body"]
    answer = json.dumps({"path": scope["path"], "method": scope["method"], "size": size}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@dataclass
class Wire:
    """A running server."""

    port: int

    def open(self) -> socket.socket:
        """Connect; what takes longer than 10 s fails."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, *parts: bytes) -> bytes:
        """Send `parts` and return all that comes until the server closes or a whole answer is here."""
        with self.open() as client:
            for part in parts:
                client.sendall(part)
            return answer_of(client)


def answer_of(client: socket.socket) -> bytes:
    """Read one answer: until it is whole by its length, or the connection ends."""
    data = b""
    while True:
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths and b"\r\n\r\n" in data and len(body) >= int(lengths[0].split(b":")[1]):
            return data
        try:
            chunk = client.recv(65536)
        except ConnectionError:
            return data
        if not chunk:
            return data
        data += chunk


def status_of(answer: bytes) -> int:
    """Return the status of an answer; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def ends(client: socket.socket) -> bool:
    """Return whether the server ends the connection; anything it still sends is read."""
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@contextlib.contextmanager
def served(application: Any = echo, limit: int = LIMIT) -> Iterator[Wire]:
    """Serve `application` as the desk serves its own, with `limit` descriptors to its name."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    one = server(application, host="127.0.0.1", port=0, limit=limit)
    thread = threading.Thread(target=one.run, args=([listening],))
    thread.start()
    try:
        yield Wire(listening.getsockname()[1])
    finally:
        one.should_exit = True
        one.force_exit = True
        thread.join(timeout=15)
        assert not thread.is_alive()
