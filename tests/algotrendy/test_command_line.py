"""A command that needs the desk's database, or a Python that it can use, and finds none, says what to do."""

import os
import shutil
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


def pythons(folder: Path, **versions: str) -> Path:
    """A folder of PATH with pretended interpreters: name and version; what they are asked is kept."""
    for name, version in versions.items():
        major, minor = version.split(".")
        script = folder / name.replace("_", ".")
        script.write_text(
            f"""#!/bin/sh
case "$*" in
  *version_info*) exec {sys.executable} -c 'import sys; sys.version_info = ({major}, {minor}, 0); '"$2" ;;
  *sys.executable*) echo "{script}" ;;
  -V) echo "Python {version}.0" ;;
  *) echo "{script.name} $*" >>"{folder}/asked" ; exit 9 ;;
esac
"""
        )
        script.chmod(0o755)
    for tool in ("sh", "dirname", "cksum", "cat", "rm", "grep", "date", "sleep", "tail"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def mem(tmp_path: Path, **versions: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of `mem` beside nothing, with pretended interpreters only."""
    (tmp_path / "bin").mkdir()
    shutil.copy(BASE_DIR / "mem", tmp_path / "mem")
    environment = {"PATH": str(pythons(tmp_path / "bin", **versions))}
    command = [str(tmp_path / "mem"), "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("version", ["3.14", "3.15", "4.0"])
def test_a_python_that_is_too_new_is_refused_in_words_before_pip_runs(tmp_path: Path, version: str) -> None:
    ended = mem(tmp_path, python3=version, python=version)
    assert ended.returncode == 1
    assert f"python3 is: Python {version}.0" in ended.stderr
    assert "needs Python 3.11, 3.12 or 3.13" in ended.stderr
    assert "not tried with a newer one" in ended.stderr
    assert "python3.13" in ended.stderr
    assert not (tmp_path / "bin" / "asked").exists()
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_too_old_is_refused_as_well(tmp_path: Path) -> None:
    ended = mem(tmp_path, python3="3.10")
    assert (ended.returncode, "python3 is: Python 3.10.0" in ended.stderr) == (1, True)


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    ended = mem(tmp_path)
    assert (ended.returncode, "none is on PATH" in ended.stderr) == (1, True)


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        ({"python3": "3.14", "python3_12": "3.12"}, "python3.12"),
        ({"python3": "3.14", "python": "3.11"}, "python"),
        ({"python3": "3.11", "python3_13": "3.13", "python3_12": "3.12"}, "python3.13"),
        ({"python3": "3.13"}, "python3"),
        ({"python3": "3.11"}, "python3"),
    ],
)
def test_a_python_that_fits_is_taken_before_one_that_does_not(
    tmp_path: Path, versions: dict[str, str], chosen: str
) -> None:
    ended = mem(tmp_path, **versions)
    assert f"({tmp_path / 'bin' / chosen})" in ended.stderr
    assert (tmp_path / "bin" / "asked").read_text().startswith(f"{chosen} ")


def test_an_environment_of_a_python_that_is_too_new_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    pythons(tmp_path / ".venv" / "bin", python="3.14")
    ended = mem(tmp_path, python3="3.14", python3_13="3.13")
    assert "Making .venv with Python 3.13.0" in ended.stderr
