"""The preloader forks what the supervisor asks for, and what it forks is like what exec would start."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from algotrendy.supervisor import processes
from algotrendy.supervisor.child import Child
from algotrendy.supervisor.launching import Preloader, Spec
from algotrendy.supervisor.output import Output

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every process starts by itself")

PROGRAM = """
import json, os, sys, time
print(os.environ["COLOUR"], os.getcwd(), *sys.argv[1:], "json" in sys.modules, flush=True)
print("to stderr", file=sys.stderr, flush=True)
if "serve" in sys.argv:
    import socket
    with socket.socket(fileno=int(sys.argv[-1])) as server:
        server.accept()[0].sendall(b"hello")
if "fail" in sys.argv:
    raise SystemExit(7)
time.sleep(60)
"""


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Output]:
    lines = Output(io.StringIO(), tmp_path / "desk.log")
    yield lines
    lines.close()


@pytest.fixture
def program(tmp_path: Path) -> Spec:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return Spec("fake", [sys.executable, str(file), "one"], {"COLOUR": "blue"}, tmp_path, stop_seconds=5)


def shown(output: Output) -> str:
    assert isinstance(output.stream, io.StringIO)
    return output.stream.getvalue()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def scenario(output: Output, folder: Path, play: Callable[[Preloader, Child], Awaitable[None]]) -> None:
    """Run `play` with a preloader that has imported little, and end the preloader."""

    async def whole() -> None:
        preloader = Preloader()
        env = os.environ | {"PYTHONPATH": str(Path.cwd())}
        process = Child(preloader.spec(env, Path.cwd(), ("json",)), output, folder)
        process.start()
        try:
            await play(preloader, process)
        finally:
            await process.stop()
            preloader.close()

    asyncio.run(whole())


def with_arguments(spec: Spec, *arguments: str) -> Spec:
    return replace(spec, argv=[*spec.argv, *arguments])


def exists(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split(") ")[1][0] != "Z"


def test_a_fork_has_the_arguments_environment_folder_and_output_of_its_own(
    output: Output, tmp_path: Path, program: Spec
) -> None:
    async def play(preloader: Preloader, process: Child) -> None:
        child = Child(program, output, tmp_path, preloader.fork)
        child.start()
        await until(lambda: "to stderr" in shown(output))
        assert child.process is not None
        command = Path(f"/proc/{child.process.pid}/cmdline").read_text().rstrip("\0")
        assert command == " ".join(program.argv)
        assert os.getsid(child.process.pid) == child.process.pid
        await child.stop()
        assert not exists(child.process.pid)

    scenario(output, tmp_path, play)
    assert f"fake     | blue {tmp_path} one True" in shown(output)


def test_a_fork_serves_a_socket_that_was_handed_to_it(output: Output, tmp_path: Path, program: Spec) -> None:
    async def play(preloader: Preloader, process: Child) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.fileno()
            spec = replace(with_arguments(program, "serve", str(number)), pass_fds=(number,))
            child = Child(spec, output, tmp_path, preloader.fork)
            child.start()
            reader, writer = await asyncio.open_connection(*server.getsockname())
            assert await reader.read() == b"hello"
            writer.close()
            await child.stop()

    scenario(output, tmp_path, play)


def test_how_a_fork_ended_is_reported_and_it_is_started_again(
    output: Output, tmp_path: Path, program: Spec
) -> None:
    async def play(preloader: Preloader, process: Child) -> None:
        failing = Child(with_arguments(program, "fail"), output, tmp_path, preloader.fork)
        failing.start()
        await until(lambda: failing.starts == 2)
        await failing.stop()
        killed = Child(replace(program, name="killed"), output, tmp_path, preloader.fork)
        killed.start()
        await until(lambda: killed.running)
        assert killed.process is not None
        first = killed.process.pid
        killed.process.send_signal(signal.SIGKILL)
        await until(lambda: killed.starts == 2)
        assert int((tmp_path / "killed.pid").read_text()) != first
        await killed.stop()

    scenario(output, tmp_path, play)
    assert "fake     | ended with exit code 7; starting again in 0.2 s" in shown(output)
    assert "killed   | was ended by SIGKILL" in shown(output)


def test_forks_end_with_a_preloader_that_is_killed_and_come_back_with_the_next(
    output: Output, tmp_path: Path, program: Spec
) -> None:
    async def play(preloader: Preloader, process: Child) -> None:
        child = Child(program, output, tmp_path, preloader.fork)
        child.start()
        await until(lambda: child.running)
        assert child.process
        assert process.process
        first = child.process.pid
        process.process.send_signal(signal.SIGKILL)
        await until(lambda: child.starts == 2 and child.running)
        assert not exists(first)
        assert process.starts == 2
        await child.stop()

    scenario(output, tmp_path, play)


def test_a_child_that_waits_for_a_preloader_that_never_comes_can_be_stopped(
    output: Output, tmp_path: Path, program: Spec
) -> None:
    async def whole() -> None:
        preloader = Preloader()
        child = Child(replace(program, stop_seconds=3600), output, tmp_path, preloader.fork)
        child.start()
        await until(lambda: child.launching is not None)
        await child.stop()
        assert child.starts == 0
        preloader.close()

    asyncio.run(whole())


def test_a_request_that_was_given_up_starts_nothing(output: Output, tmp_path: Path, program: Spec) -> None:
    async def play(preloader: Preloader, process: Child) -> None:
        await until(lambda: process.running)
        assert process.process is not None
        process.process.send_signal(signal.SIGSTOP)
        given_up = Child(replace(program, name="given-up"), output, tmp_path, preloader.fork)
        given_up.start()
        await until(lambda: given_up.launching is not None)
        await asyncio.sleep(0.05)
        await given_up.stop()
        process.process.send_signal(signal.SIGCONT)
        child = Child(program, output, tmp_path, preloader.fork)
        child.start()
        await until(lambda: "to stderr" in shown(output))
        await child.stop()

    scenario(output, tmp_path, play)
    assert "given-up | blue" not in shown(output)


def test_what_is_imported_before_the_fork_survives_it() -> None:
    """No thread, no connection and no pandas: none of them may be there when the preloader forks."""
    code = """
import contextlib, os, sys
from algotrendy.supervisor import preloader
preloader.preload(sys.argv[1:])
open_files = []
for fd in os.listdir("/proc/self/fd"):
    with contextlib.suppress(FileNotFoundError):
        open_files.append(os.readlink(f"/proc/self/fd/{fd}"))
print(len(os.listdir("/proc/self/task")), [name for name in open_files if name.startswith("socket:")])
print([name for name in ("pandas", "polars", "twisted") if name in sys.modules])
from django.db import connections
print([connection for connection in connections.all(initialized_only=True) if connection.connection])
"""
    env = os.environ | processes.ONE_THREAD | {"ALGOTRENDY_PROCESS": "preload"}
    done = subprocess.run(
        [sys.executable, "-c", code, *processes.SHARED], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["1 []", "[]", "[]"], done.stderr


def test_pages_of_files_that_nobody_else_uses_are_given_back(tmp_path: Path) -> None:
    """A library that importing has read: no fork would share its pages. What it holds can be read again."""
    code = """
import mmap, os, re, sys
from pathlib import Path
from algotrendy.supervisor import preloader

def of_files():
    return sum(map(int, re.findall(r"Private_Clean: +([0-9]+)", Path("/proc/self/smaps").read_text())))

fd = os.open(sys.argv[1], os.O_RDONLY)
library = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
content, before = library[:], of_files()
preloader.give_back_file_pages()
print(before >= 4096, before - of_files() >= 4000, library[:] == content)
"""
    library = tmp_path / "library.so"
    with library.open("wb") as file:
        file.write(os.urandom(4 << 20))
        os.fsync(file.fileno())
    done = subprocess.run([sys.executable, "-c", code, str(library)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True"] * 3, done.stdout + done.stderr
