"""How a child comes to be: by exec, or forked by the preloader."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from algotrendy.embedded.child import Preexec, die_with_parent
from algotrendy.supervisor.preloader import Request

PRELOADER = "algotrendy.supervisor.preloader"


@dataclass(frozen=True)
class Spec:
    """What to run and how to end it."""

    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    before: Callable[[], None] | None = None  # blocking; before each start
    preexec: Preexec = field(default_factory=die_with_parent)
    pass_fds: tuple[int, ...] = ()
    niceness: int = 0  # how far it, and what it starts, gives way to the others where the processors are few
    shows: Callable[[str], bool] = lambda line: True  # which lines go to the terminal


class Process(Protocol):
    """A process that was started; `returncode` is None while it runs."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal."""

    async def wait(self) -> int:
        """Return the exit code once it has ended."""

    def send_signal(self, signal: int, /) -> None:
        """Raise ProcessLookupError if it has ended."""


Launch = Callable[[Spec, int], Awaitable[Process]]


async def execute(spec: Spec, output: int) -> Process:
    """Start `spec` by exec, with its output going to the descriptor `output`. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        *spec.argv,
        env=spec.env,
        cwd=spec.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        preexec_fn=spec.preexec,
        pass_fds=spec.pass_fds,
        start_new_session=True,  # Ctrl-C reaches the supervisor only: it stops the others in order
    )


class Forked:
    """A child of the preloader, which reports its end on a stream."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._reader = reader
        self._writer = writer

    async def wait(self) -> int:
        """Return the exit code, negative for a signal; the preloader's own end takes its children with it."""
        line = await self._reader.readline()
        self._writer.close()
        self.returncode = int(line) if line else -signal.SIGKILL
        return self.returncode

    def send_signal(self, signal: int, /) -> None:
        """Raise ProcessLookupError if it has ended."""
        os.kill(self.pid, signal)


class Preloader:
    """The supervisor's end: requests wait in a socket while the preloader starts, or starts again."""

    def __init__(self) -> None:
        self._requests, self._served = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def spec(self, env: dict[str, str], cwd: Path, modules: tuple[str, ...]) -> Spec:
        """Return how to run the preloader's process itself, which imports `modules`."""
        served = self._served.fileno()
        argv = [sys.executable, "-m", PRELOADER, str(served), *modules]
        return Spec("preload", argv, env, cwd, pass_fds=(served,))

    async def fork(self, spec: Spec, output: int) -> Process:
        """Start `spec`, whose first argument is this Python, as a fork. Raises OSError.

        Waits for as long as the preloader needs to be ready. Cancelled meanwhile, nothing is started.
        """
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        with theirs:
            request = Request(spec.argv[1:], spec.env, str(spec.cwd), list(spec.pass_fds))
            message = json.dumps(asdict(request)).encode()
            socket.send_fds(self._requests, [message], [theirs.fileno(), output, *spec.pass_fds])
        try:
            line = await reader.readline()
        except asyncio.CancelledError:
            writer.close()
            raise
        if not line:
            writer.close()
            raise ConnectionError("the preloader ended before it could fork")
        return Forked(int(line), reader, writer)

    def close(self) -> None:
        """Let the preloader end: it does when no more requests can come."""
        self._requests.close()
        self._served.close()
