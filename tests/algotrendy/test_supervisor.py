"""The supervisor keeps small, fake children running, and ends them."""

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from algotrendy.supervisor import child as children
from algotrendy.supervisor import lock
from algotrendy.supervisor.child import Child
from algotrendy.supervisor.launching import Spec
from algotrendy.supervisor.output import Output
from algotrendy.supervisor.processes import Options

LIVES = "import time; print('alive', flush=True); time.sleep(60)"
DIES = "print('dying', flush=True); raise SystemExit(3)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LIVES}"
HAS_A_CHILD = "import subprocess; c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); c.wait()"


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Output]:
    made = Output(io.StringIO(), tmp_path / "desk.log")
    yield made
    made.close()


def spec(code: str, name: str = "fake", **more: object) -> Spec:
    return Spec(name, [sys.executable, "-c", code], dict(os.environ), Path.cwd(), **more)  # type: ignore[arg-type]


def shown(output: Output) -> str:
    assert isinstance(output.stream, io.StringIO)
    return output.stream.getvalue()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()

    asyncio.run(whole())


def exists(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split(") ")[1][0] != "Z"


def test_a_dead_child_is_started_again_after_growing_delays(output: Output, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Child(spec(DIES), output, tmp_path)
        began = time.monotonic()
        one.start()
        await until(lambda: one.starts == 3)
        assert time.monotonic() - began > 0.2 + 0.4
        await one.stop()

    run(scenario)
    assert "ended with exit code 3; starting again in 0.2 s" in shown(output)
    assert "ended with exit code 3; starting again in 0.4 s" in shown(output)


def test_a_child_that_lived_long_starts_again_without_delay(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "HEALTHY_AFTER", 0.0)

    async def scenario() -> None:
        one = Child(spec(DIES), output, tmp_path)
        one.start()
        await until(lambda: one.starts == 4)
        await one.stop()

    run(scenario)
    assert "again in 0.4 s" not in shown(output)


def test_the_delay_never_grows_beyond_ten_seconds() -> None:
    delay = children.FIRST_DELAY
    for _ in range(20):
        delay = children.longer(delay)
    assert delay == 10.0


def test_a_program_that_is_not_there_is_reported_and_tried_again(output: Output, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Child(Spec("fake", ["/nowhere/at/all"], {}, Path.cwd()), output, tmp_path)
        one.start()
        await until(lambda: shown(output).count("could not start") == 2)
        await one.stop()

    run(scenario)
    assert "No such file" in shown(output)


def test_a_killed_child_comes_back_under_its_pid_file(output: Output, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Child(spec(LIVES), output, tmp_path)
        one.start()
        await until(lambda: "alive" in shown(output))
        first = int((tmp_path / "fake.pid").read_text())
        os.kill(first, signal.SIGKILL)
        await until(lambda: one.starts == 2 and one.running)
        assert int((tmp_path / "fake.pid").read_text()) != first
        await one.stop()

    run(scenario)
    assert "was ended by SIGKILL" in shown(output)
    assert not (tmp_path / "fake.pid").exists()


def test_a_child_gives_way_to_the_others_as_its_spec_says(output: Output, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Child(spec(LIVES, niceness=7), output, tmp_path)
        one.start()
        await until(lambda: one.running)
        own, pid = os.getpriority(os.PRIO_PROCESS, 0), one.process.pid if one.process else 0
        await until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == own + 7)
        await one.stop()

    run(scenario)


def test_stop_is_orderly_and_what_ignores_it_is_killed(output: Output, tmp_path: Path) -> None:
    async def scenario() -> None:
        willing = Child(spec(LIVES, "willing"), output, tmp_path)
        stubborn = Child(spec(STUBBORN, "stubborn", stop_seconds=0.3), output, tmp_path)
        for one in (willing, stubborn):
            one.start()
        await until(lambda: shown(output).count("alive") == 2)
        pids = [one.process.pid for one in (willing, stubborn) if one.process]
        await asyncio.gather(willing.stop(), stubborn.stop())
        assert not any(exists(pid) for pid in pids)

    run(scenario)
    assert "stubborn | did not end in 0.3 s and was killed" in shown(output)
    assert "willing  | did not end" not in shown(output)


def test_grandchildren_do_not_outlive_a_killed_child(output: Output, tmp_path: Path) -> None:
    async def scenario() -> None:
        one = Child(spec(HAS_A_CHILD), output, tmp_path)
        one.start()
        await until(lambda: shown(output).count("\n") == 1)
        grandchild = int(shown(output).split("|")[1])
        assert one.process is not None
        one.process.send_signal(signal.SIGKILL)
        await until(lambda: not exists(grandchild))
        await one.stop()

    run(scenario)


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, sys
from pathlib import Path
from algotrendy.supervisor.child import Child
from algotrendy.supervisor.launching import Spec
from algotrendy.supervisor.output import Output
from algotrendy.supervisor.processes import Options
async def main():
    folder = Path({str(tmp_path)!r})
    Child(Spec("fake", [sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), folder),
          Output(sys.stdout, folder / "desk.log"), folder).start()
    await asyncio.sleep(60)
asyncio.run(main())
"""

    async def scenario() -> None:
        supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path.cwd())
        pid_file = tmp_path / "fake.pid"
        await until(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        supervisor.kill()
        await supervisor.wait()
        await until(lambda: not exists(pid))

    run(scenario)


def test_lines_are_prefixed_and_long_or_broken_ones_survive(output: Output, tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'x' * 200_000 + b'\\n' + b'\\xff\\n' + b'no end'); sys.exit()"

    async def scenario() -> None:
        one = Child(spec(code), output, tmp_path)
        one.start()
        await until(lambda: one.starts == 2)
        await one.stop()

    run(scenario)
    lines = (tmp_path / "desk.log").read_text().splitlines()
    assert all(" fake     | " in line for line in lines)
    assert sum(line.count("x") for line in lines if "xxx" in line) >= 200_000
    assert any(line.endswith("\ufffd") for line in lines)


def test_the_log_is_rotated_and_old_ones_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algotrendy.supervisor.output.MAX_BYTES", 100)
    output = Output(io.StringIO(), tmp_path / "desk.log")
    for number in range(20):
        output.line("fake", f"line {number} " + "x" * 60)
    output.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["desk.log", "desk.log.1", "desk.log.2", "desk.log.3"]


def test_a_second_supervisor_is_told_of_the_first(tmp_path: Path) -> None:
    with lock.take(tmp_path, "http://127.0.0.1:8000"):
        with pytest.raises(lock.AlreadyRunning, match=rf"pid {os.getpid()}, http://127.0.0.1:8000"):
            lock.take(tmp_path, "http://127.0.0.1:9000")
        assert lock.holder(tmp_path) == (os.getpid(), "http://127.0.0.1:8000")
    assert lock.holder(tmp_path) is None


def test_a_pid_file_of_another_process_with_that_number_is_not_believed(tmp_path: Path) -> None:
    stale = tmp_path / "web.pid"
    stale.write_text(f"{os.getpid()}\n")
    os.utime(stale, (1_000_000_000, 1_000_000_000))
    assert lock.alive(stale) is None
    assert lock.end_leftovers(tmp_path) == []
    assert not stale.exists()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("desk.example", "http://desk.example:8000"),
    ],
)
def test_the_address_shown_is_one_that_a_browser_on_this_machine_can_open(host: str, url: str) -> None:
    assert Options(host, 8000, False, Path()).url == url
