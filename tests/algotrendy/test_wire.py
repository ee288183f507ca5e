"""What strangers may send and hold open: wire tricks on loopback, each with the answer that it gets."""

import contextlib
import json
import logging
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from algotrendy.serving import crowd, descriptors, protocol
from algotrendy.serving.crowd import Crowd
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
        (get(*[b"A%d: x" % n for n in range(101)]), 431),
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
    over: list[str] = []

    async def endless(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        for _ in range(2000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})  # type: ignore[operator]
        over.append("the answer was let go")

    with served(endless) as wire, wire.open() as client:
        client.sendall(GET)
        while not over:
            # Reading nothing of it; each further request shows that the server goes on.
            with wire.open() as other:
                other.sendall(GET)
                assert other.recv(10).startswith(b"HTTP/1.1")
    assert over


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
    chunks = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    answer = wire.ask(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", chunks)
    assert body_of(answer)["size"] == 20_000


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
