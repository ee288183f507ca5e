"""A process that has imported what the desk's processes share, and forks each of them.

What is imported before the fork lies in memory once, however many processes use it, and a process that was killed
is back at once. Linux only: elsewhere the system's libraries do not survive a fork, and every process starts by
itself. Nothing here may open a connection, start a thread or run OpenMP before the fork: none of them survive it.

`python -m algotrendy.supervisor.preloader DESCRIPTOR MODULE…`; the descriptor is a socket that carries requests.
"""

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import re
import runpy
import selectors
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from setproctitle import getproctitle, setproctitle

from algotrendy.embedded.child import die_with_parent
from algotrendy.optional_modules import hidden

LARGEST: Final = 1 << 17  # bytes of a request
MOST_DESCRIPTORS: Final = 16
ONLY_FOR_TESTS: Final = ("pandas", "polars", "twisted")
_OUT_OF_THE_WAY: Final = 100  # descriptors wait above this number while the low ones are arranged
_MADV_PAGEOUT: Final = 21  # Linux 5.4; older ones refuse it, and nothing is lost
_FILE_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ [1-9]\d* ")


@dataclass(frozen=True)
class Request:
    """A program to run as a child: what exec would be given, and the numbers of the descriptors it expects."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    fds: list[int]


@dataclass(frozen=True)
class Received:
    """A request with the descriptors that came with it: for its output, and those to pass on."""

    request: Request
    answer: socket.socket
    descriptors: list[int]


@dataclass(frozen=True)
class Running:
    """A forked child, the descriptor that tells of its end, and who waits for it."""

    pid: int
    pidfd: int
    answer: socket.socket


def main() -> None:
    """Import, then fork on request; a forked child returns from `serve` and becomes its program."""
    getproctitle()  # looks for the title's place now: once the environment was replaced it is not to be seen
    control = socket.socket(fileno=int(sys.argv[1]))
    preload(sys.argv[2:])
    received = serve(control)
    become(received)
    run(received.request.argv)


def preload(modules: Sequence[str]) -> None:
    """Import `modules`, and keep the collector's hands off what they made: it would unshare every page."""
    with hidden(*ONLY_FOR_TESTS):
        for name in modules:
            import_module(name)
    gc.collect()
    gc.freeze()
    give_back_file_pages()


def give_back_file_pages() -> None:
    """Let the kernel drop the pages of libraries that importing has read: no fork inherits them.

    What was written to stays, as does what another process uses too. A page that is wanted again is read again.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        if mapping := _FILE_MAPPING.match(line):
            start, end = (int(address, 16) for address in mapping.groups())
            madvise(start, end - start, _MADV_PAGEOUT)


def serve(control: socket.socket) -> Received:
    """Fork a child for every request, report its number and how it ended. Returns in the children only."""
    die = die_with_parent()
    with selectors.DefaultSelector() as waiting:
        waiting.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.data is not None:
                    waiting.unregister(key.fileobj)
                    _report_end(key.data)
                elif received := receive(control):
                    pid = os.fork()
                    if pid == 0:
                        die()
                        _let_go(waiting)
                        return received
                    child = _report_start(pid, received)
                    waiting.register(child.pidfd, selectors.EVENT_READ, child)


def receive(control: socket.socket) -> Received | None:
    """Take the next request; None if who made it has given up. Ends this process when no more can come."""
    message, fds, _, _ = socket.recv_fds(control, LARGEST, MOST_DESCRIPTORS)
    if not message:
        sys.exit(0)
    received = Received(Request(**json.loads(message)), socket.socket(fileno=fds[0]), fds[1:])
    if _is_awaited(received.answer):
        return received
    received.answer.close()
    _close(received.descriptors)
    return None


def become(received: Received) -> None:
    """Take on the session, descriptors, folder and environment of the program that was asked for."""
    request = received.request
    os.setsid()
    output = received.descriptors[0]
    with Path(os.devnull).open("rb") as nothing:
        sources = [nothing.fileno(), output, *received.descriptors]
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for fd in sources]
    received.answer.close()
    _close(received.descriptors)
    for fd, number in zip(copies, [0, 1, 2, *request.fds], strict=True):
        os.dup2(fd, number)
    _close(copies)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)


def run(argv: Sequence[str]) -> None:
    """Run what `python ARGV` would run, `-m MODULE …` or `FILE …`, and be listed as that."""
    setproctitle(" ".join([sys.executable, *argv]))
    if argv[0] == "-m":
        sys.argv = list(argv[1:])
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(argv)
        runpy.run_path(argv[0], run_name="__main__")


def _is_awaited(answer: socket.socket) -> bool:
    """Tell whether the other end of `answer` is still open. Nothing is ever sent from there."""
    try:
        answer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    return False


def _report_start(pid: int, received: Received) -> Running:
    _close(received.descriptors)
    _tell(received.answer, pid)
    return Running(pid, os.pidfd_open(pid), received.answer)


def _report_end(child: Running) -> None:
    _, status = os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    _tell(child.answer, os.waitstatus_to_exitcode(status))
    child.answer.close()


def _let_go(waiting: selectors.BaseSelector) -> None:
    """Close what belongs to the preloader and to its other children: they must see its end when it ends."""
    for key in list(waiting.get_map().values()):
        if key.data is None:
            os.close(key.fd)
        else:
            os.close(key.data.pidfd)
            key.data.answer.close()


def _tell(answer: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits for it any more
        answer.sendall(f"{number}\n".encode())


def _close(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)


if __name__ == "__main__":
    main()
