"""A command that needs the desk's database, and finds none, says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from algotrendy.paths import BASE_DIR


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), *command],
        env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", [("retrain",), ("prove", "--quick"), ("create_source", "mine")])
def test_without_a_running_desk_a_command_says_to_start_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = run(*command, ALGOTRENDY_DATA=str(tmp_path), DATABASE_URL="")
    assert ended.returncode == 1
    assert "./mem up" in ended.stderr
    assert str(tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://trader:hunter2@127.0.0.1:9/desk"
    ended = run("retrain", ALGOTRENDY_DATA=str(tmp_path), DATABASE_URL=url)
    assert ended.returncode == 1
    assert "DATABASE_URL does not answer" in ended.stderr
    assert "127.0.0.1" in ended.stderr
    assert "hunter2" not in ended.stderr + ended.stdout


def test_a_process_of_the_desk_still_tells_where_it_failed(tmp_path: Path) -> None:
    ended = run("run_training", ALGOTRENDY_DATA=str(tmp_path), DATABASE_URL="", ALGOTRENDY_PROCESS="learning")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
