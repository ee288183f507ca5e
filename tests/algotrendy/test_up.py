"""`./mem up` for real: it starts, refuses what it must, survives kill -9, and stops."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from algotrendy import paths
from algotrendy.testing import Desk, free_port, running_desk, wait_until

pytestmark = pytest.mark.spine
MANAGE = str(paths.BASE_DIR / "manage.py")
MEMORY_LIMIT = 600_000_000  # bytes; what processes share is counted once


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("up") / "var") as running:
        yield running


def up(data: Path, port: int) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ALGOTRENDY_DATA": str(data)}
    command = [sys.executable, MANAGE, "up", "--port", str(port)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def memory(pid: int) -> int:
    """Return what the supervisor and all below it hold, in bytes."""
    supervisor = psutil.Process(pid)
    total = 0
    for process in [supervisor, *supervisor.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's backends come and go
            held = process.memory_full_info()
            total += getattr(held, "pss", held.uss)
    return total


def test_up_numbers_its_steps_and_ends_with_the_address_and_a_sign_in_link(desk: Desk) -> None:
    wait_until(lambda: "The desk runs at" in desk.output, 10, "the greeting")
    steps = [line for line in desk.output.splitlines() if line.startswith("[")]
    assert [step[:5] for step in steps] == ["[1/5]", "[2/5]", "[3/5]", "[4/5]", "[5/5]"]
    assert f"The desk runs at {desk.url}" in desk.output
    assert f"{desk.url}/welcome/" in desk.output
    assert "/welcome/" not in (desk.data / "log" / "desk.log").read_text()


def test_data_are_closed_to_others(desk: Desk) -> None:
    assert desk.data.stat().st_mode & 0o777 == 0o700
    assert (desk.data / "secrets.json").stat().st_mode & 0o777 == 0o600
    for name in ("postgres", "valkey", "run", "log"):
        assert (desk.data / name).stat().st_mode & 0o077 == 0


def test_nothing_listens_on_tcp_but_web_on_its_port(desk: Desk) -> None:
    supervisor = psutil.Process(desk.supervisor.pid)
    listening = {
        connection.laddr
        for process in supervisor.children(recursive=True)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", desk.port)}


def test_everything_together_stays_below_the_memory_limit(desk: Desk) -> None:
    assert memory(desk.supervisor.pid) < MEMORY_LIMIT


def test_a_second_up_on_the_same_data_is_refused(desk: Desk) -> None:
    refused = up(desk.data, free_port())
    assert refused.returncode == 2
    assert f"already running (pid {desk.supervisor.pid}, {desk.url})" in refused.stderr


def test_a_busy_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = up(tmp_path / "var", port)
    assert refused.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in refused.stderr
    assert "--port" in refused.stderr


@pytest.mark.parametrize("name", ["postgres", "valkey", "web", "trade", "training", "beat", "feed"])
def test_a_process_that_is_killed_comes_back(desk: Desk, name: str) -> None:
    desk.wait_until_ready()
    wait_until(lambda: (desk.data / "run" / f"{name}.pid").exists(), 20, f"{name} to run")
    before = desk.pid(name)
    desk.kill(name)

    def back() -> bool:
        try:
            return desk.pid(name) != before
        except FileNotFoundError:
            return False

    wait_until(back, 20, f"{name} to come back")
    desk.wait_until_ready()


def test_while_web_restarts_callers_wait_instead_of_being_refused(desk: Desk) -> None:
    desk.wait_until_ready()
    desk.kill("web")
    with urllib.request.urlopen(f"{desk.url}/healthz", timeout=60) as answer:
        assert answer.status == 200


def test_doctor_finds_nothing_wrong_with_a_running_desk(desk: Desk) -> None:
    desk.wait_until_ready()

    def well() -> bool:
        return "All is well" in desk.manage("doctor", check=False)

    wait_until(well, 60, "doctor to be content")


def test_killing_everything_at_once_leaves_a_desk_that_starts_again(tmp_path: Path) -> None:
    data, port = tmp_path / "var", free_port()
    with running_desk(data, port) as desk:
        processes = psutil.Process(desk.supervisor.pid).children(recursive=True)
        for process in [psutil.Process(desk.supervisor.pid), *processes]:
            with contextlib.suppress(psutil.NoSuchProcess):  # it may already have followed its parent
                process.kill()
        desk.supervisor.wait()
    with running_desk(data, port) as again:
        assert again.is_ready()
        again.supervisor.send_signal(signal.SIGTERM)
        assert again.supervisor.wait(timeout=60) == 0
    assert not list((data / "run").glob("*.pid"))


def test_a_killed_supervisor_takes_its_children_along_and_up_works_at_once(tmp_path: Path) -> None:
    data, port = tmp_path / "var", free_port()
    with running_desk(data, port) as desk:
        children = psutil.Process(desk.supervisor.pid).children(recursive=True)
        desk.supervisor.kill()
        desk.supervisor.wait()
        with running_desk(data, port) as again:
            assert again.is_ready()
        _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
