"""A load generator small enough not to be the bottleneck: raw HTTP/1.1 over kept-alive connections.

It runs as a process of its own (`python -m benchmarks._load`): a plan as JSON on standard input, what came back as
JSON on standard output. Requests are rendered before they are sent; only the number in the body differs.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import cast
from urllib.parse import urlsplit

from algotrendy import paths

#: Where in the body the number of the request goes; it is as long as what replaces it.
NUMBER = "############"


@dataclass(frozen=True)
class Plan:
    """What to send. `mode` is one of:

    closed: each connection sends its next request when the last was answered, for `seconds` after `warm_up`;
    paced: `rate` requests a second for `seconds`, timed from the moment each was due;
    burst: `total` requests over all connections at once, each connection one after another.
    """

    url: str
    bodies: tuple[str, ...]
    mode: str
    connections: int = 32
    seconds: float = 5.0
    warm_up: float = 0.0
    rate: float = 0.0
    total: int = 0
    first: int = 0
    keep_answers: bool = False
    timeout: float = 30.0


@dataclass
class Result:
    """What came back. Latencies in milliseconds; `answers` are the bodies of the answers, if asked for."""

    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    late_ms: float = 0.0

    @property
    def accepted(self) -> int:
        """How many were answered 2xx."""
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Return the latency (ms) that `share` of the requests did not exceed."""
        return quantile(self.latencies, share)


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that at least `share` of `values` do not exceed; NaN without values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))]


def generate(plan: Plan) -> Result:
    """Run `plan` in a process of its own and return what came back. Raises RuntimeError if it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._load"],
        input=json.dumps(asdict(plan)), capture_output=True, text=True, check=False, cwd=paths.BASE_DIR,
        timeout=plan.seconds + plan.warm_up + plan.timeout + 60,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed:\n{done.stderr}")
    return Result(**json.loads(done.stdout))


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.answered: Callable[[Connection, int, bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self.transport = cast(asyncio.Transport, transport)  # of uvloop: no subclass

    def send(self, request: bytes, answered: "Callable[[Connection, int, bytes], None]") -> None:
        """Send `request`; `answered` is called once with the status (0: the connection broke) and the body."""
        self.answered = answered
        if self.transport is None or self.transport.is_closing():
            self._done(0, b"")
        else:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take in a piece of the answer, and pass it on when it is whole."""
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = _content_length(head)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self._done(int(head[9:12]), rest[:length])

    def connection_lost(self, exc: Exception | None) -> None:
        """End a pending request without an answer."""
        self._done(0, b"")

    def _done(self, status: int, body: bytes) -> None:
        answered, self.answered = self.answered, None
        if answered:
            answered(self, status, body)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"an answer without Content-Length: {head!r}")


class Generator:
    """Carries out one plan on one event loop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.url = urlsplit(plan.url)
        self.templates = [self._template(body) for body in plan.bodies]
        self.number = plan.first
        self.result = Result()
        self.statuses: Counter[int] = Counter()
        self.finished = asyncio.Event()
        self.counting = not plan.warm_up
        self.open = 0

    def _template(self, body: str) -> bytes:
        head = (
            f"POST {self.url.path} HTTP/1.1\r\nHost: {self.url.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n"
        )
        return (head + body).encode()

    def request(self) -> bytes:
        """Return the next request."""
        template = self.templates[self.number % len(self.templates)]
        self.number += 1
        return template.replace(NUMBER.encode(), b"%012d" % self.number)

    async def run(self) -> Result:
        """Connect, send, and return what came back."""
        connections = await asyncio.gather(*[self.connect() for _ in range(self.plan.connections)])
        await {"closed": self.closed, "paced": self.paced, "burst": self.burst}[self.plan.mode](connections)
        self.result.statuses = {str(status): count for status, count in sorted(self.statuses.items())}
        return self.result

    async def connect(self) -> Connection:
        """Open one connection."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self.url.hostname or "", self.url.port or 80)
        return connection

    def record(self, began: float, status: int, body: bytes) -> None:
        """Note one answer."""
        self.statuses[status] += 1
        self.result.latencies.append((time.perf_counter() - began) * 1000)
        if self.plan.keep_answers:
            self.result.answers.append(body.decode())

    async def closed(self, connections: list[Connection]) -> None:
        """Let every connection send one request after another until the time is over."""
        ends = time.perf_counter() + self.plan.warm_up + self.plan.seconds
        self.open = len(connections)
        for connection in connections:
            self._next(connection, ends)
        await asyncio.sleep(self.plan.warm_up)
        self.counting, counted_from = True, time.perf_counter()
        await asyncio.wait_for(self.finished.wait(), self.plan.seconds + self.plan.timeout)
        self.result.seconds = min(time.perf_counter(), ends) - counted_from

    def _next(self, connection: Connection, ends: float) -> None:
        began = time.perf_counter()

        def answered(connection: Connection, status: int, body: bytes) -> None:
            if self.counting and time.perf_counter() <= ends:
                self.record(began, status, body)
            if status and time.perf_counter() < ends:
                self._next(connection, ends)
            else:
                self._gone()

        connection.send(self.request(), answered)

    def _gone(self) -> None:
        self.open -= 1
        if not self.open:
            self.finished.set()

    async def paced(self, connections: list[Connection]) -> None:
        """Send at a steady rate, each request when it is due, on a connection that is idle."""
        idle, waiting = deque(connections), asyncio.Queue[Connection]()
        start, count = time.perf_counter(), int(self.plan.rate * self.plan.seconds)
        self.open = count
        for index in range(count):
            due = start + index / self.plan.rate
            if (delay := due - time.perf_counter()) > 0:
                await asyncio.sleep(delay)
            while not waiting.empty():
                idle.append(waiting.get_nowait())
            connection = idle.popleft() if idle else await waiting.get()
            self.result.late_ms = max(self.result.late_ms, (time.perf_counter() - due) * 1000)
            self._one(connection, due, waiting)
        await asyncio.wait_for(self.finished.wait(), self.plan.timeout)
        self.result.seconds = time.perf_counter() - start

    def _one(self, connection: Connection, due: float, waiting: "asyncio.Queue[Connection]") -> None:
        def answered(connection: Connection, status: int, body: bytes) -> None:
            self.record(due, status, body)
            waiting.put_nowait(connection)
            self._gone()

        connection.send(self.request(), answered)

    async def burst(self, connections: list[Connection]) -> None:
        """Send everything as fast as the connections allow."""
        start, self.open = time.perf_counter(), len(connections)
        share, more = divmod(self.plan.total, len(connections))
        for index, connection in enumerate(connections):
            self._row(connection, share + (index < more))
        await asyncio.wait_for(self.finished.wait(), self.plan.timeout)
        self.result.seconds = time.perf_counter() - start

    def _row(self, connection: Connection, left: int) -> None:
        if not left:
            self._gone()
            return
        began = time.perf_counter()

        def answered(connection: Connection, status: int, body: bytes) -> None:
            self.record(began, status, body)
            self._row(connection, left - 1)

        connection.send(self.request(), answered)


def main() -> None:
    """Read a plan, carry it out, print what came back."""
    import uvloop

    values = json.load(sys.stdin)
    plan = Plan(**values | {"bodies": tuple(values["bodies"])})
    result = uvloop.run(_run(plan))
    json.dump(asdict(result), sys.stdout)


async def _run(plan: Plan) -> Result:
    asyncio.get_running_loop().set_exception_handler(_fail)
    return await Generator(plan).run()


def _fail(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """End the process: a generator that lost an answer measures nothing."""
    print(context["message"], repr(context.get("exception")), file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    main()
