"""The hooks of a commit are the checks of `./mem test`, and a message says why. pre-commit itself is not run."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from algotrendy.management.commands.test import CHECKS, PYTHON
from tests.support.packaging_files import ROOT, parsed


def hooks(stage: str) -> list[dict[str, Any]]:
    config = parsed(".pre-commit-config.yaml")
    every = [hook for repository in config["repos"] for hook in repository["hooks"]]
    return [hook for hook in every if stage in hook.get("stages", config["default_stages"])]


def test_hooks_fetch_nothing_from_elsewhere() -> None:
    repositories = parsed(".pre-commit-config.yaml")["repos"]
    assert {repository["repo"] for repository in repositories} == {"local"}
    every = [hook for repository in repositories for hook in repository["hooks"]]
    assert {hook["language"] for hook in every} == {"system"}
    assert not any("additional_dependencies" in hook for hook in every)


def test_the_hooks_of_a_commit_are_the_checks_that_mem_test_makes_before_its_tests() -> None:
    hooked = [(hook["name"], shlex.split(hook["entry"])) for hook in hooks("pre-commit")]
    assert hooked == [(name, in_the_repository(command)) for name, command in CHECKS]


def in_the_repository(command: tuple[str, ...]) -> list[str]:
    """A check as a hook names it: the program below .venv, and no templates, which the hook is given by git."""
    program, *arguments = command
    own = [argument for argument in arguments if not argument.endswith(".html")]
    return [f".venv/bin/{'python' if program == PYTHON else Path(program).name}", *own]


def test_only_the_hook_of_templates_is_given_files() -> None:
    given = {hook["id"]: hook["files"] for hook in hooks("pre-commit") if hook.get("pass_filenames", True)}
    assert given == {"djade-templates": r"^templates/.*\.html$"}


def test_one_installation_takes_the_hooks_of_every_stage() -> None:
    config = parsed(".pre-commit-config.yaml")
    used = {stage for stage in ("pre-commit", "commit-msg", "pre-push") if hooks(stage)}
    assert set(config["default_install_hook_types"]) == used == {"pre-commit", "commit-msg"}


def checked(message: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the hook of commit messages says of `message`."""
    (hook,) = hooks("commit-msg")
    program, *arguments = shlex.split(hook["entry"])
    assert program == ".venv/bin/python"
    file = folder / "COMMIT_EDITMSG"
    file.write_text(message)
    return subprocess.run(
        [sys.executable, *arguments, str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )


LONG_ENOUGH, TOO_LONG = "S" * 72, "S" * 73
DIFF = "# ------------------------ >8 ------------------------\n# Below is the diff\n+why = 1\n"


@pytest.mark.parametrize(
    "message",
    [
        f"{LONG_ENOUGH}\n\nWhy.\n",
        "Subject\n\nWhy.\n\nCo-authored-by: Somebody Else\n",
        "# A comment first\nSubject\n\nWhy: the reason.\n# Changes to be committed:\n",
        f"Subject\n\nWhy.\n{DIFF}",
        "Merge branch 'doors' into main\n",
        "fixup! Subject\n",
        "squash! Subject\n",
        f"amend! {TOO_LONG}\n\nSubject\n",
    ],
)
def test_a_message_with_subject_and_body_passes_and_so_do_merges_and_fixups(message: str, tmp_path: Path) -> None:
    answer = checked(message, tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Subject\n", "no body"),
        ("Subject\n\n\n", "no body"),
        ("Subject\n\n# Changes to be committed:\n", "no body"),
        (f"Subject\n{DIFF}", "no body"),
        ("Subject\n\nSigned-off-by: Somebody Else\n", "no body"),
        ("Merge the two ledgers\n", "no body"),
        (f"{TOO_LONG}\n\nWhy.\n", "73 characters"),
        ("Subject\nthat goes on\n\nWhy.\n", "must be empty"),
        ("", "no subject"),
    ],
)
def test_a_message_without_why_or_with_an_endless_subject_is_refused(
    message: str, reason: str, tmp_path: Path
) -> None:
    answer = checked(message, tmp_path)
    assert answer.returncode == 1
    assert reason in answer.stderr


def test_git_can_call_the_check_of_messages_without_pre_commit() -> None:
    script = ROOT / ".ci/commit-message"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env python3\n")
