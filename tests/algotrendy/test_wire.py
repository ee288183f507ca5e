"""What strangers may send and hold open: wire tricks on loopback, each with the answer that it gets."""

import asyncio
import contextlib
import json
import logging
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.conf import settings

from algotrendy.serving import crowd, descriptors, protocol, server
from algotrendy.serving.crowd import Crowd
from algotrendy.testing import wait_until
from tests.support.wire import Wire, answer_of, ends, served, status_of

GET = b"GET / HTTP/1.1\r\nHost: desk\r\n\r\n"
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: desk\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with served() as wire:
        yield wire


def body_of(answer: bytes) -> dict[str, object]:
    body: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return body


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /x HTTP/1.1", b"Host: desk", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", b""]) + body


def get(*headers: bytes, url: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % url, b"Host: desk", *headers, b"", b""])


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET, 200),
        (get(b"A: " + b"x" * 20_000), 200),
        (get(b"A: " + b"x" * 40_000), 431),
        (get(*[b"A%d: %b" % (n, b"x" * 1000) for n in range(40)]), 431),
        (get(*[b"A%d: x" % n for n in range(99)]), 200),
        (get(*[b"A%d: x" % n for n in range(100)]), 431),
        (post(b"x" * 2_621_440), 200),
        (post(b"x" * 2_621_441), 413),
        (get(b"x" * 40_000 + b": a"), 431),
        (get(url=b"/?" + b"x" * 7000), 200),
        (get(url=b"/?" + b"x" * 9000), 414),
        (get(url=b"/?" + b"x" * 40_000), 414),
        (b"x" * 40_000, 400),
        (b"\r\n" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: d\0esk\r\n\r\n", 400),
        (b"CONNECT desk:80 HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\nHost: desk\r\n\r\n", 400),
        (post(b"", b"Content-Length: 5"), 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 3_000_000, 413),
    ],
)
def test_a_request_of_any_size_gets_its_answer(wire: Wire, request_bytes: bytes, status: int) -> None:
    with wire.open() as client:
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent: the answer is there
            client.sendall(request_bytes)
        assert status_of(answer_of(client)) == status
        if status != 200:
            assert ends(client)


def test_a_head_that_comes_byte_by_byte_is_read(wire: Wire) -> None:
    with wire.open() as client:
        for byte in GET:
            client.sendall(bytes([byte]))
        assert status_of(answer_of(client)) == 200


@pytest.mark.parametrize(
    "begin",
    [
        b"GET / HTTP/1.1\r\nA: ",
        b"GET /",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: ",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nA: ",
    ],
)
def test_what_never_ends_is_ended_after_a_bounded_part(wire: Wire, begin: bytes) -> None:
    """An endless header, address, chunk extension or trailer: the server closes after a few megabytes at most."""
    sent = 0
    with wire.open() as client:
        client.sendall(begin)
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                sent += client.send(b"x" * 65536)
    assert sent < 20_000_000, "the rest lay in the buffers of both sockets, or was taken"
    assert status_of(wire.ask(GET)) == 200


def test_the_memory_of_endless_headers_is_bounded(wire: Wire) -> None:
    """Forty connections that send 5 MB of header each: the server's own process does not grow by them."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clients = [wire.open() for _ in range(40)]
    for client in clients:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\nA: " + b"x" * 5_000_000)
    assert status_of(wire.ask(GET)) == 200
    for client in clients:
        client.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000, f"{grown} KB"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    for name in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.2)
    with served() as wire:
        yield wire


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(impatient: Wire) -> None:
    with impatient.open() as client:
        assert client.recv(100) == b""


@pytest.mark.parametrize(
    "unfinished",
    [b"G", b"GET / HTTP/1.1\r\nHost: d", post(b"x" * 10)[:-5],
     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"],
)  # fmt: skip
def test_a_request_that_is_not_finished_in_time_is_answered_and_closed(impatient: Wire, unfinished: bytes) -> None:
    with impatient.open() as client:
        client.sendall(unfinished)
        assert status_of(answer_of(client)) == 408
        assert ends(client)


def test_the_time_for_the_next_request_begins_with_its_first_byte(impatient: Wire) -> None:
    with impatient.open() as client:
        client.sendall(GET)
        assert status_of(answer_of(client)) == 200
        client.settimeout(0.6)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        client.sendall(b"GET / HT")
        assert status_of(answer_of(client)) == 408


def test_whoever_takes_nothing_of_an_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKING_SECONDS", 0.2)
    over: list[int] = []

    async def endless(scope: Any, receive: object, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("only http")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        over.append(scope["client"][1])  # let go: what is sent to nobody does not wait

    with served(endless) as wire, wire.open() as client:
        client.sendall(GET)
        wait_until(lambda: client.getsockname()[1] in over, 20, "the answer that nobody takes to be let go")


def test_idle_connections_do_not_shut_the_door(caplog: pytest.LogCaptureFixture) -> None:
    """With 300 descriptors 100 connections are kept: the oldest idle ones go, and every request is answered."""
    with caplog.at_level(logging.WARNING), served(limit=300) as wire:
        idle = [wire.open() for _ in range(250)]
        half = [wire.open() for _ in range(50)]
        for client in half:
            client.sendall(b"GET / HTTP/1.1\r\nA: ")
        assert [status_of(wire.ask(GET)) for _ in range(20)] == [200] * 20
        assert all(ends(client) for client in idle[:100])
        for client in (*idle, *half):
            client.close()
    assert sum("more than this process keeps" in record.message for record in caplog.records) == 1


class Idle:
    def __init__(self) -> None:
        self.gone = False

    def give_up(self) -> None:
        self.gone = True


def test_who_is_worked_for_is_never_given_up() -> None:
    crowd = Crowd(0)
    working, waiting, late = Idle(), Idle(), Idle()
    crowd.join(working, 1)
    crowd.join(waiting, 2)
    crowd.leave(working)
    crowd.join(late, crowd.most + 1)
    assert (working.gone, waiting.gone, late.gone) == (False, True, False)


def test_who_waits_already_waits_no_shorter_for_it() -> None:
    crowd = Crowd(0)
    first, second = Idle(), Idle()
    crowd.join(first, 1)
    crowd.join(second, 2)
    crowd.wait(first)
    crowd.join(Idle(), crowd.most + 1)
    assert (first.gone, second.gone) == (True, False)


def test_when_all_are_worked_for_the_newcomer_goes() -> None:
    crowd = Crowd(0)
    late = Idle()
    crowd.join(late, crowd.most + 1)
    assert late.gone


def test_the_number_of_connections_follows_from_the_descriptors() -> None:
    assert Crowd(1024).most == 1024 - crowd.RESERVE
    assert Crowd(1_000_000).most == crowd.MOST


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    """In a process of its own, as the limit of this one must stay."""
    script = (
        "import resource\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "from algotrendy.serving.descriptors import raise_limit\n"
        "print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE), hard)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    limit, soft, hard, before = map(int, done.stdout.split())
    assert limit == soft == min(hard, descriptors.MOST)
    assert hard == before


@pytest.mark.parametrize("offer", [b"h2c", b"H2C", b"TLS/1.0", b"websocket2", b"h2c, websocket"])
@pytest.mark.parametrize("pieces", [1, 2, 50])
def test_an_offer_of_another_protocol_loses_no_body(wire: Wire, offer: bytes, pieces: int) -> None:
    body = b'{"symbol": "BTCUSDT"}'
    request = post(body, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + offer, b"HTTP2-Settings: AAMAAABk")
    step = -(-len(request) // pieces)
    with wire.open() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), step):
            client.sendall(request[at : at + step])
        assert body_of(answer_of(client)) == {"path": "/x", "method": "POST", "size": len(body)}
        client.sendall(GET)
        assert status_of(answer_of(client)) == 200


def test_a_chunked_body_with_an_offer_of_another_protocol_is_read(wire: Wire) -> None:
    request = b"POST /x HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert body_of(wire.ask(request, b"3\r\nabc\r\n", b"0\r\n\r\n"))["size"] == 3


def test_requests_one_after_the_other_in_one_packet_are_all_answered(wire: Wire) -> None:
    with wire.open() as client:
        client.sendall((post(b"x" * 3000) + GET) * 20)
        data = b""
        while data.count(b"HTTP/1.1 200") < 40 and (chunk := client.recv(65536)):
            data += chunk
        assert data.count(b"HTTP/1.1 200") == 40


def test_many_small_chunks_are_a_body(wire: Wire) -> None:
    chunks = b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n"
    answer = wire.ask(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)
    assert body_of(answer)["size"] == 200_000


def test_a_body_that_goes_on_after_its_answer_is_ended() -> None:
    async def hasty(scope: object, receive: object, send: object) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    sent = 0
    with served(hasty) as wire, wire.open() as client:
        client.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert status_of(answer_of(client)) == 413
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                sent += client.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    assert sent < 20_000_000


def test_a_handshake_opens_a_socket_that_outlives_the_times_of_requests(impatient: Wire) -> None:
    with impatient.open() as client:
        client.sendall(HANDSHAKE % (b"/ws", b""))
        assert b" 101 " in client.recv(4096)
        client.settimeout(0.6)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(struct.pack("!BBI", 0x88, 0x80, 0))  # an empty close frame
        client.settimeout(10)
        assert client.recv(100)[0] == 0x88


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (HANDSHAKE % (b"/ws?topics=" + b"x" * 9000, b""), 414),
        (HANDSHAKE % (b"/ws", b"A: %b\r\n" % (b"x" * 9000)), 400),
        (HANDSHAKE % (b"/ws", b"Sec-WebSocket-Key: again\r\n"), 400),
        (HANDSHAKE.replace(b"GET", b"POST", 1) % (b"/ws", b"Content-Length: 3\r\n"), 400),
        (HANDSHAKE.replace(b"13", b"99") % (b"/ws", b""), 400),
        (HANDSHAKE % (b"/ws", b"B\xff: \xff\r\n"), 400),
    ],
)
def test_a_handshake_that_is_none_is_answered_and_closed(wire: Wire, handshake: bytes, status: int) -> None:
    with wire.open() as client:
        client.sendall(handshake)
        assert status_of(answer_of(client)) == status
        assert ends(client)


def test_the_bounds_are_those_that_the_threat_model_names() -> None:
    text = " ".join(Path(settings.BASE_DIR, "docs/THREAT_MODEL.md").read_text().split())
    for part in (
        f"{protocol.MAX_HEAD // 1024} KB of headers, {protocol.MAX_URL:,} bytes of address",
        f"{protocol.MAX_BODY / 1024 / 1024} MB of body",
        f"{protocol.HEAD_SECONDS:g} s for the headers and {protocol.BODY_SECONDS:g} s for the body",
        f"{protocol.TAKING_SECONDS:g} s in which something of an answer is taken",
        f"at most {crowd.MOST:,} connections",
    ):
        assert part in text


def test_a_connection_between_two_requests_lives_a_little_longer_than_a_proxy_keeps_it() -> None:
    config = server.server(Mock(), host="127.0.0.1", port=0, limit=100).config
    assert 60 < config.timeout_keep_alive <= 75
    assert config.ws_max_size == 65536
    assert (config.proxy_headers, config.server_header, config.access_log) == (False, False, False)


def test_what_is_served_may_have_as_many_descriptors_as_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(server, "raise_limit", lambda: 777)
    monkeypatch.setattr(server, "server", lambda *_, limit, **__: limits.append(limit) or Mock())
    server.serve(Mock(), host="127.0.0.1", port=0)
    assert limits == [777]


def test_a_hard_limit_that_is_not_given_leaves_the_soft_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (256, 10_000))
    monkeypatch.setattr(descriptors.resource, "setrlimit", Mock(side_effect=ValueError("not allowed")))
    assert descriptors.raise_limit() == 256


def test_a_body_has_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    head, _, body = post(b"x" * 10).partition(b"\r\n\r\n")
    with served() as wire, wire.open() as client:
        client.sendall(head + b"\r\n\r\n")
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):  # the time for a head is over, and nobody complains
            client.recv(1)
        client.settimeout(10)
        client.sendall(body)
        assert body_of(answer_of(client))["size"] == 10


def test_a_trailer_is_no_header() -> None:
    """Whoever reads the headers after the body must not find what came behind the body."""

    async def headers_after_body(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("only http")
        while (await receive()).get("more_body"):
            pass
        names = json.dumps([name.decode() for name, _ in scope["headers"]]).encode()
        length = [(b"content-length", str(len(names)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": names})

    with served(headers_after_body) as wire:
        answer = wire.ask(
            b"POST / HTTP/1.1\r\nHost: desk\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-For\r\n\r\n",
            b"1\r\na\r\n0\r\nX-Forwarded-For: 52.89.214.238\r\nCookie: sessionid=x\r\n\r\n",
        )
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == ["host", "transfer-encoding", "trailer"]


def test_a_request_is_answered_once_however_its_body_goes_on() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("only http")
        size = 0
        while size < 2_000_000:
            size += len((await receive())["body"])
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    with served(late) as wire, wire.open() as client:
        client.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 62)
        data = client.recv(65536)
        client.sendall(chunk * 25)  # beyond what a body may have, below what is read of one that was refused
        client.settimeout(3)
        with contextlib.suppress(ConnectionError):
            while more := client.recv(65536):
                data += more
    assert (data.count(b"HTTP/1.1"), data[9:12]) == (1, b"403")


def test_whoever_works_on_a_request_that_is_refused_is_told_that_nobody_waits() -> None:
    events: list[str] = []

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("only http")
        while (event := await receive())["type"] == "http.request":
            pass
        events.append(event["type"])

    with served(reads) as wire:
        answer = wire.ask(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", b"nonsense\r\n")
        assert status_of(answer) == 400
        wait_until(lambda: events, 10, "the application to be told")
    assert events == ["http.disconnect"]


@pytest.mark.parametrize(
    ("requests", "sizes"), [([post(b"abc")], [3]), ([post(b"a"), post(b"bc"), GET], [1, 2, 0])]
)
def test_who_sends_no_more_is_still_answered(wire: Wire, requests: list[bytes], sizes: list[int]) -> None:
    with wire.open() as client:
        client.sendall(b"".join(requests))
        client.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := client.recv(65536):
            data += chunk
    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert [body["size"] for body in bodies] == sizes


class Held:
    """An application that reads a request and answers it when it may."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("only http")
        await receive()
        self.begun.append(1)
        while not self.go_on.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def test_who_sends_no_more_is_answered_however_long_that_takes() -> None:
    held = Held()
    with served(held) as wire, contextlib.ExitStack() as stack:
        stack.callback(held.go_on.set)
        client = stack.enter_context(wire.open())
        client.sendall(GET)
        wait_until(lambda: held.begun, 10, "the request to be worked on")
        client.shutdown(socket.SHUT_WR)
        for _ in range(3):  # whatever the server does about it, it has done before it answers these
            assert status_of(wire.ask(b"nonsense\r\n\r\n")) == 400
        held.go_on.set()
        assert status_of(answer_of(client)) == 200
        assert ends(client)


def test_after_a_refusal_comes_no_answer() -> None:
    held = Held()
    with served(held) as wire, contextlib.ExitStack() as stack:
        stack.callback(held.go_on.set)
        client = stack.enter_context(wire.open())
        client.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        wait_until(lambda: held.begun, 10, "the request to be worked on")
        client.sendall(b"nonsense\r\n")
        data = answer_of(client)
        held.go_on.set()
        with contextlib.suppress(ConnectionError):
            while more := client.recv(65536):
                data += more
    assert (data.count(b"HTTP/1.1"), data[9:12]) == (1, b"400")


@pytest.mark.parametrize("unfinished", [b"", b"GET / HT", post(b"x" * 10)[:-5]])
def test_who_sends_no_more_of_something_unfinished_is_let_go_at_once(wire: Wire, unfinished: bytes) -> None:
    with wire.open() as client:
        client.sendall(unfinished)
        client.shutdown(socket.SHUT_WR)
        assert ends(client)


def test_a_refusal_is_kept_by_nobody(wire: Wire) -> None:
    assert b"cache-control: no-store" in wire.ask(get(url=b"/?" + b"x" * 9000)).lower()


def offline(limit: int = 0) -> protocol.BoundedProtocol:
    """A protocol of a small crowd on a wire that is none."""
    config = Mock(loaded=True, timeout_keep_alive=5, limit_concurrency=None, root_path="")
    one = protocol.bounded(limit)(config, Mock(connections=set()), {}, Mock())
    one.transport, one.flow, one.cycle = Mock(), Mock(), Mock(response_complete=False)
    return one


def test_who_does_not_take_an_answer_waits_and_who_takes_it_is_worked_for() -> None:
    one = offline()
    one.pause_writing()
    assert one in one.crowd._waiting
    assert one.loop.call_later.call_args.args == (protocol.TAKING_SECONDS, one.give_up)
    one.resume_writing()
    assert one not in one.crowd._waiting
    assert one.loop.call_later.return_value.cancel.called


def test_a_connection_is_closed_for_good_though_nobody_takes_what_was_written() -> None:
    one = offline()
    one.timeout_keep_alive_handler()
    assert one.transport.close.called
    assert one.loop.call_later.call_args.args == (protocol.TAKING_SECONDS, one.transport.abort)


def test_a_connection_that_is_gone_is_forgotten() -> None:
    one = offline()
    one.crowd.join(one, 1)
    one.connection_lost(None)
    assert not one.crowd._waiting


def test_who_is_worked_for_stays_when_too_many_come() -> None:
    """The room for 16 connections is taken by requests in work: those who come later and only wait are let go."""
    held = Held()
    with served(held, limit=0) as wire, contextlib.ExitStack() as stack:
        stack.callback(held.go_on.set)
        working = [stack.enter_context(wire.open()) for _ in range(16)]
        for client in working:
            client.sendall(GET)
        wait_until(lambda: len(held.begun) == 16, 10, "all requests to be worked on")
        assert all(ends(client) for client in [stack.enter_context(wire.open()) for _ in range(8)])
        held.go_on.set()
        assert [status_of(answer_of(client)) for client in working] == [200] * 16
        # Now they wait, each for a request: the one that waits longest makes room.
        assert status_of(wire.ask(GET)) == 200


def test_an_open_socket_is_never_one_too_many() -> None:
    with served(limit=0) as wire, contextlib.ExitStack() as stack:
        live = stack.enter_context(wire.open())
        live.sendall(HANDSHAKE % (b"/ws", b""))
        assert b" 101 " in live.recv(4096)
        idle = [stack.enter_context(wire.open()) for _ in range(20)]
        assert status_of(wire.ask(GET)) == 200
        assert ends(idle[0])
        live.sendall(struct.pack("!BBI", 0x88, 0x80, 0))  # an empty close frame
        assert live.recv(100)[0] == 0x88
