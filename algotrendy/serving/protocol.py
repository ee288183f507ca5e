"""HTTP/1.1 with bounds: what anybody may send and hold open before the desk knows who it is.

uvicorn's protocol takes headers and addresses of any size for any time. Here a request has so many bytes of head
and so much time to be whole, and whoever waits longest goes when connections run out (`algotrendy.serving.crowd`).
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from algotrendy.serving.crowd import Crowd

MAX_HEAD = 32 * 1024  # bytes of all headers together; nginx allows as much
MAX_URL = 8000  # bytes; below the 8,192 of a line that the WebSocket library takes
MAX_HEADERS = 100
MAX_BODY = 2_621_440  # bytes, as Django's own limit, which comes only after the whole body lies on the disk
HEAD_SECONDS = 10.0  # from the connection, or the first byte of the next request, to the end of the headers
BODY_SECONDS = 30.0  # from there to the end of the body
TAKING_SECONDS = 30.0  # in which the other end must take something of an answer that waits
LINGER_SECONDS = 1.0  # a refusal is dropped by the system if the connection ends while more comes in
LINGER_BYTES = 1024 * 1024
# Frames of chunks and trailers are no body: a chunk of one byte has six around it.
FRAME_BYTES_PER_BODY_BYTE = 8
NOT_PLAIN = {b"upgrade", b"http2-settings"}
WORDS = {
    HTTPStatus.BAD_REQUEST: "Invalid HTTP request received.",
    HTTPStatus.REQUEST_TIMEOUT: "The request was not complete in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this desk takes.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"The address is longer than {MAX_URL} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are larger than this desk takes.",
}


class Refused(Exception):
    """Ends the parsing of a request; the answer has this status."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `crowd` is set on the subclass that `bounded` makes."""

    crowd: Crowd

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._in_head = True
        self._begun = self._refused = self._plain = self._half_closed = False
        self._messages = self._head = self._fields = self._frames = self._body = self._spare = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and give it time for its first request."""
        super().connection_made(transport)
        self.crowd.join(self, len(self.connections))
        self._within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no longer."""
        self._in_time()
        self._taken()
        self.crowd.leave(self)
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close a connection that waited too long or is one too many."""
        self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what is whole, although the other end sends no more; let go of all else."""
        cycle = self.cycle
        self._half_closed = cycle is not None and not cycle.response_complete and not cycle.more_body
        return self._half_closed

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Read at most what a head may still have; refuse the rest.

        A head that begins in the middle of a packet is counted from the next one, so it may be twice as long
        before it is refused unfinished; `on_header` counts exactly.
        """
        self._unset_keepalive_if_required()
        if self._refused or self._is_answered():
            self._spare += len(data)
            if self._spare > LINGER_BYTES:
                self.transport.abort()
        while data and not self._refused and not self.transport.is_closing():
            room = MAX_HEAD - self._head if self._in_head else len(data)
            part, data = data[:room], data[room:]
            self._count(part)
            if self._in_head and data and self._head >= MAX_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _is_answering(self) -> bool:
        """Return whether an answer has begun and is not over: what is written now would be a part of it."""
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def _is_answered(self) -> bool:
        """Return whether a body goes on coming in after the answer to it."""
        return not self._in_head and self.cycle is not None and self.cycle.response_complete

    def _count(self, part: bytes) -> None:
        """Feed the parser and count what of it was head, body, and neither."""
        if self._in_head:
            self._head += len(part)
            self._feed(part)
            return
        message, before = self._messages, self._body
        self._feed(part)
        if message != self._messages or self._in_head:  # that one is over
            return
        self._frames += len(part) - (self._body - before)
        if self._frames > MAX_HEAD + FRAME_BYTES_PER_BODY_BYTE * self._body:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._in_time()
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.parser.get_method() == b"CONNECT":
                self._refuse(HTTPStatus.BAD_REQUEST)
            else:
                self._read_as_plain(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            refusal = error.__context__
            self._refuse(refusal.status if isinstance(refusal, Refused) else HTTPStatus.BAD_REQUEST)

    def _read_as_plain(self, rest: bytes) -> None:
        """Read a request that offers another protocol (h2c) as if it did not: the parser skips such a body."""
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(part for part in value.split(b",") if part.strip().lower() not in NOT_PLAIN)
            if name not in NOT_PLAIN:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._plain = False
        self._feed(b"".join([*head, b"\r\n"]))
        if rest and not self._refused:
            self._count(rest)

    # What the parser tells

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begun = self._in_head = True
        self._messages += 1
        self._head = self._fields = self._frames = self._body = self._spare = 0
        if self._timer is None:
            self._within(HEAD_SECONDS)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        if len(self.url) + len(url) > MAX_URL:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer after the body, which nobody reads."""
        self._fields += len(name) + len(value)
        if self._fields > MAX_HEAD or len(self.headers) >= MAX_HEADERS:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, unless it is one that is read again as plain HTTP."""
        self._in_head = False
        self._within(BODY_SECONDS)
        self._plain = self.parser.should_upgrade() and not self._should_upgrade()
        if not self._plain:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += len(body)
        if self._body > MAX_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Work: the request is whole."""
        if self._plain:
            return
        self._in_time()
        self._begun, self._in_head, self._head = False, True, 0
        if self.cycle is not None and not self.cycle.response_complete:
            self.crowd.leave(self)
        super().on_message_complete()

    # What goes out

    def on_response_complete(self) -> None:
        """Wait for the next request; end a connection on which none can come."""
        self.crowd.wait(self)
        super().on_response_complete()
        if self._half_closed and self.cycle.response_complete:
            self._close()

    def pause_writing(self) -> None:
        """Give the other end time to take what was sent."""
        super().pause_writing()
        self.crowd.wait(self)
        self._taken()
        self._taking = self.loop.call_later(TAKING_SECONDS, self.give_up)

    def resume_writing(self) -> None:
        """Go on sending."""
        self._taken()
        if self.cycle is not None and not self.cycle.response_complete:
            self.crowd.leave(self)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what can't be read."""
        self._refuse(HTTPStatus.BAD_REQUEST)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the protocol of sockets, which has a whole handshake now or never will."""
        self._in_time()
        self.crowd.leave(self)
        super().handle_websocket_upgrade()
        socket = self.transport.get_protocol()
        if not getattr(socket, "handshake_initiated", True):
            self._refuse(HTTPStatus.BAD_REQUEST)

    # Bounds

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing came for long."""
        self._close()

    def _close(self) -> None:
        """Close, once what was written is taken; not much later, if it is not."""
        self.transport.close()
        self.loop.call_later(TAKING_SECONDS, self.transport.abort)

    def _within(self, seconds: float) -> None:
        self._in_time()
        self._timer = self.loop.call_later(seconds, self._out_of_time)

    def _in_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _out_of_time(self) -> None:
        """Answer who began a request; close where nothing came, or where the answer came before the request."""
        self._timer = None
        if not self._begun or (not self._in_head and self.cycle.response_started):
            self._close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer in words and close, a moment later if more comes in."""
        self._in_time()
        self._refused = True
        text = WORDS[status].encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        if not self._is_answering() and not self._is_answered():
            self.transport.write(head.encode() + text)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.loop.call_later(LINGER_SECONDS, self._close)


def bounded(descriptors: int) -> type[BoundedProtocol]:
    """Return the protocol for a process that may have `descriptors` open: its connections are one crowd."""
    crowd = Crowd(descriptors)
    return cast(type[BoundedProtocol], type("Bounded", (BoundedProtocol,), {"crowd": crowd}))
