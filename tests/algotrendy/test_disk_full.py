"""A disk that is full, over its quota or broken: the supervisor goes on, says so, and takes up its work again."""

import asyncio
import contextlib
import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from algotrendy.supervisor import child as children
from algotrendy.supervisor import desk, disk, lock
from algotrendy.supervisor.child import Child, Spec
from algotrendy.supervisor.desk import Desk
from algotrendy.supervisor.disk import Space
from algotrendy.supervisor.output import Output
from algotrendy.supervisor.processes import Options
from algotrendy.supervisor.room import Room
from tests.algotrendy.test_supervisor import DIES, LIVES, run, shown, spec, until

# Opening it works and every write to it fails with ENOSPC, which is what a full disk does.
FULL = Path("/dev/full")
ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO]
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log on a full disk, until it is unlinked."""
    path = tmp_path / "desk.log"
    path.symlink_to(FULL)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Output]:
    """A terminal and a log, `desk.log`."""
    with contextlib.closing(Output(io.StringIO(), tmp_path / "desk.log")) as opened:
        yield opened


def test_a_child_is_started_again_for_ever_while_neither_log_nor_pid_file_can_be_written(
    log: Path, output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "LONGEST_DELAY", 0.01)
    (tmp_path / "fake.pid").symlink_to(FULL)

    async def scenario() -> None:
        one = Child(spec(DIES), output, tmp_path)
        one.start()
        await until(lambda: one.starts == 3)
        log.unlink()  # room is made
        await until(lambda: one.starts == 5)
        await one.stop()

    run(scenario)
    assert "lines are missing here: the disk did not take them" in log.read_text()
    assert "ended with exit code 3" in log.read_text()


def test_a_child_whose_pid_file_could_not_be_written_is_watched_and_written_down_later(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "PID_FILE_SECONDS", 0.05)
    pid_file = tmp_path / "fake.pid"
    pid_file.symlink_to(FULL)

    async def scenario() -> None:
        one = Child(spec(LIVES), output, tmp_path)
        one.start()
        await until(lambda: "alive" in shown(output))
        pid_file.unlink()
        await until(lambda: pid_file.exists() and lock.alive(pid_file) == (one.process and one.process.pid))
        assert one.starts == 1
        await one.stop()

    run(scenario)
    assert not pid_file.exists()


def test_whatever_happens_to_a_run_the_next_one_comes(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = iter([RuntimeError("lost sight of it")])
    follow = Child._follow

    async def lose_the_first(self: Child, process: asyncio.subprocess.Process) -> int:
        for error in once:
            raise error
        return await follow(self, process)

    monkeypatch.setattr(Child, "_follow", lose_the_first)

    async def scenario() -> None:
        one = Child(spec(LIVES), output, tmp_path)
        one.start()
        await until(lambda: one.starts == 1)
        first = one.process
        await until(lambda: one.starts == 2)
        assert first is not None
        assert await first.wait() == -9, "the process that was lost sight of must not run beside the next one"
        await one.stop()

    run(scenario)
    assert "could not be run: lost sight of it; starting again" in shown(output)


@pytest.mark.parametrize("number", ERRORS)
def test_a_line_that_the_disk_does_not_take_is_counted_and_never_torn(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    log = tmp_path / "desk.log"
    output.line("fake", "before")
    with monkeypatch.context() as patch:
        patch.setattr(Output, "_open", lambda self: Failing(log, number))
        output.close()
        output.line("fake", "lost in part")
        output.line("fake", "lost as well")
    output.line("fake", "after")
    output.close()
    texts = [line.split(" | ")[1] for line in log.read_text().splitlines()]
    assert texts == ["before", "2 lines are missing here: the disk did not take them", "after"]
    assert "lost in part" in shown(output)


class Failing(io.FileIO):
    """A file on a disk that has room for three bytes, then for none."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(path, "a")
        self.number = number
        self.room = 3

    def write(self, data: object) -> int:
        assert isinstance(data, bytes)
        if not self.room:
            raise OSError(self.number, "as a disk says it")
        taken, self.room = super().write(data[: self.room]), 0
        return taken


def test_a_log_that_cannot_even_be_made_is_made_later(tmp_path: Path) -> None:
    blocked = tmp_path / "log"
    blocked.write_text("a file where the folder should be")
    output = Output(io.StringIO(), blocked / "desk.log")
    output.line("fake", "lost")
    blocked.unlink()
    blocked.mkdir()
    output.line("fake", "kept")
    output.close()
    assert "1 lines are missing" in (blocked / "desk.log").read_text()
    assert "kept" in (blocked / "desk.log").read_text()


def test_a_log_that_cannot_be_moved_aside_does_not_grow_for_ever(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("algotrendy.supervisor.output.MAX_BYTES", 1000)
    in_the_way = tmp_path / "desk.log.1"
    (in_the_way / "not empty").mkdir(parents=True)
    (tmp_path / "desk.log.2" / "not empty").mkdir(parents=True)
    for number in range(100):
        output.line("fake", f"line {number}")
    output.close()
    assert (tmp_path / "desk.log").stat().st_size <= 1000
    assert "line 99" in (tmp_path / "desk.log").read_text()


def test_a_desk_that_cannot_stop_one_child_in_order_stops_the_others(output: Output, tmp_path: Path) -> None:

    async def scenario() -> None:
        whole = Desk(Options("127.0.0.1", 8000, False, tmp_path), output)
        whole.run_folder = tmp_path
        whole.children = [Child(spec(LIVES, name), output, tmp_path) for name in ("first", "second")]
        for one in whole.children:
            one.start()
        await until(lambda: shown(output).count("alive") == 2)

        async def fail() -> None:
            raise OSError(errno.EIO, "as a disk says it")

        whole.children[0].stop = fail  # type: ignore[method-assign]
        await whole.stop()
        assert not whole.children[1].running
        first = whole.children[0]
        assert first.process is not None
        assert await first.process.wait() == -9
        await Child.stop(first)

    run(scenario)
    assert "first    | could not be stopped in order" in shown(output)


def test_a_full_disk_leaves_the_lock_with_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    lock.take(tmp_path, "http://127.0.0.1:8000").close()
    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        held: IO[str] = lock.take(tmp_path, "http://127.0.0.1:8001")
    with held, pytest.raises(lock.AlreadyRunning, match="already running"):
        lock.take(tmp_path, "http://127.0.0.1:9000")


def room(free: int, error: int = 0) -> Space:
    return Space(Path("/desk"), free, error)


def test_the_start_waits_for_room_and_says_so_once(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = iter([room(0), room(0), room(0), room(10**10)])
    monkeypatch.setattr(disk, "space", lambda data: next(rooms))
    monkeypatch.setattr("algotrendy.supervisor.room.WAIT_SECONDS", 0.0)
    run(Room(tmp_path, output).wait)
    assert shown(output).count("the disk is full, 0.00 GB free at /desk") == 1
    assert "there is room again: 10.00 GB free at /desk" in shown(output)


def test_a_service_that_cannot_start_on_a_full_disk_is_waited_for(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room, eight starts without an answer end the start; on a full disk nothing does but room."""
    full = tmp_path / "full"
    full.touch()
    monkeypatch.setattr(disk, "space", lambda data: room(0 if full.exists() else 10**10))
    monkeypatch.setattr(children, "LONGEST_DELAY", 0.01)
    monkeypatch.setattr("algotrendy.supervisor.room.WAIT_SECONDS", 0.01)
    needs_room = Spec("fake", ["sh", "-c", f"test -e {full} && exit 1; exec sleep 60"], dict(os.environ), tmp_path)

    async def scenario() -> None:
        whole = Desk(Options("127.0.0.1", 8000, False, tmp_path), output)
        one = Child(needs_room, output, tmp_path)
        one.start()

        async def answers() -> bool:
            return not full.exists()

        waiting = asyncio.create_task(whole._until(answers, 60, "fake", one))
        await until(lambda: one.starts > desk.TRIES + 2)
        assert not waiting.done()
        full.unlink()
        await waiting
        await one.stop()
        await whole.stop()

    run(scenario)


@pytest.mark.parametrize(
    ("space", "state", "text"),
    [
        (room(3_000_000_000), (False, False), "3.00 GB free at /desk"),
        (room(1_400_000_000), (True, False), "1.40 GB free at /desk"),
        (room(20_000_000), (True, True), "the disk is full, 0.02 GB free at /desk"),
        (room(5_000_000_000, errno.ENOSPC), (True, True), "the disk is full, 5.00 GB free at /desk"),
        (room(5_000_000_000, errno.EDQUOT), (True, True), "the disk quota is used up, 5.00 GB free at /desk"),
        (room(5_000_000_000, errno.EIO), (True, True), "/desk cannot be written to (Input/output error)"),
        (room(5_000_000_000, errno.EROFS), (True, True), "/desk cannot be written to (Read-only file system)"),
    ],
)
def test_room_is_said_in_words(space: Space, state: tuple[bool, bool], text: str) -> None:
    assert (space.low, space.full) == state
    assert text in space.text
    assert bool(space.advice) == space.low


def test_the_room_is_tried_out_with_a_file_that_does_not_stay(tmp_path: Path) -> None:
    assert disk.space(tmp_path / "not" / "yet").error == 0
    assert list(tmp_path.iterdir()) == []
    assert disk.space(tmp_path).free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)


@pytest.mark.parametrize("number", ERRORS)
def test_a_disk_that_refuses_the_trial_is_full(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(**_: object) -> IO[bytes]:
        raise OSError(number, "as a disk says it")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert disk.space(tmp_path).error == number
    assert disk.space(tmp_path).full


def test_up_says_that_the_disk_is_full_instead_of_ending_with_a_traceback(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from algotrendy.supervisor import __main__ as up

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("ALGOTRENDY_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["up"])
    monkeypatch.setattr(desk, "make_folders", full)
    monkeypatch.setattr(disk, "space", lambda data: room(0))
    assert up.main() == 2
    assert "the disk is full, 0.00 GB free at /desk" in capsys.readouterr().err
