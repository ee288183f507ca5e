"""The pure cores: mutmut changes their functions, and their tests that need no database must notice.

Mutmut leaves alone what is no plain function: constants of a module, decorated functions (properties) and the
bodies of classes. Survivors are shown as the line before and after.
"""

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from algotrendy.mutation.plan import Change, Room

NOTICED = {1, 3, 36, -24, 24, 152, 255, -11, -9}  # a test failed, or the change never ended or crashed
PACKAGES = ["algotrendy", "market", "mlmodels", "brokers", "memory", "webhooks"]
OTHERS = ["api", "dashboard", "benchmarks", "templates", "static", "docs", "manage.py"]
# The order that mutmut writes for a method is `xǁClassǁname__mutmut_1`, for a function `x_name__mutmut_1`.
ORIGINAL = "__mutmut_orig"


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the changes of one module. `excluded` ones change nothing, and count nowhere else."""

    module: str
    mutants: int
    killed: int
    excluded: int
    survivors: tuple[Change, ...]

    @property
    def percent(self) -> float:
        """Share of the changes that were noticed, of those that change something."""
        return 100 * self.killed / self.mutants if self.mutants else 100.0


def run(room: Room, copy: Path, excluded: frozenset[Change]) -> list[Score]:
    """Change the modules of a room in the copy; return a score for each. Raises RuntimeError if its tests fail."""
    _configure(room, copy)
    # mutmut's own workers would wait for one another on a small machine: one at a time, from one warm process.
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", "1"],
        cwd=copy, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(
            f"mutmut could not run the tests of {room.name}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return [_score(module, copy, excluded) for module in room.modules]


def _environment() -> dict[str, str]:
    """Return this process's environment without what names this desk: tests choose services of their own."""
    own = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if name not in own}


def _configure(room: Room, copy: Path) -> None:
    """Write mutmut's settings into the copy, and begin anew: what it copied once it would not change again."""
    shutil.rmtree(copy / "mutants", ignore_errors=True)
    config = {
        "source_paths": PACKAGES,
        "only_mutate": list(room.modules),
        "also_copy": OTHERS,
        "pytest_add_cli_args_test_selection": list(room.tests),
        "pytest_add_cli_args": ["-m", "not django_db", "--hypothesis-profile=mutants"],
        "use_git_change_detection": False,
        "track_dependencies": False,
    }
    project = copy / "pyproject.toml"
    own = project.read_text().partition("\n[tool.mutmut]\n")[0]
    lines = [f"{name} = {json.dumps(value)}" for name, value in config.items()]
    project.write_text("\n".join([own, "[tool.mutmut]", *lines, ""]))


def _score(module: str, copy: Path, excluded: frozenset[Change]) -> Score:
    meta = copy / "mutants" / f"{module}.meta"
    codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"] if meta.exists() else {}
    names = [name.rpartition(".")[2] for name, code in codes.items() if code not in NOTICED]
    survivors = [(module, *change) for change in _changes(copy / "mutants" / module, names)]
    left = [change for change in survivors if change not in excluded]
    dropped = len(survivors) - len(left)
    return Score(module, len(codes) - dropped, len(codes) - len(survivors), dropped, tuple(left))


def _changes(path: Path, names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield for each changed function the lines that differ, before and after."""
    if not names:
        return
    source = path.read_text()
    lines = source.split("\n")  # once: every change of every function is in it, thousands of lines
    functions = {
        node.name: lines[node.lineno : node.end_lineno]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
    }
    for name in names:
        yield _difference(functions[name.partition("__mutmut_")[0] + ORIGINAL], functions[name])


def _difference(before: list[str], after: list[str]) -> tuple[str, str]:
    parts: dict[str, list[str]] = {"-": [], "+": []}
    for line in difflib.ndiff(before, after):
        if line[0] in parts:
            parts[line[0]].append(line[2:].strip())
    return " ".join(parts["-"]), " ".join(parts["+"])
