"""Runs pytest again and again, each time in a fork of a process that has the slow libraries imported already.

A script, not a module of the product: its folder is the scratch copy. It reads a line of arguments in JSON, and
writes the exit code of pytest. Nothing of the desk is imported before the fork, so each run reads its own source.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

LIBRARIES = (
    "pytest", "hypothesis.strategies", "django.db.models", "django.test", "psycopg",
    "celery", "numpy", "scipy.special", "pydantic", "anyio", "httpx", "uvicorn", "redis", "structlog",
    "time_machine",
)  # fmt: skip
TIMED_OUT = 36


def main() -> None:
    """Serve until the input ends."""
    sys.path[0] = str(Path.cwd())
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        seconds, *arguments = json.loads(line)
        sys.stdout.write(f"{_run(float(seconds), arguments)}\n")
        sys.stdout.flush()


def _run(seconds: float, arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        _test(arguments)

    def end(_signal: int, _frame: FrameType | None) -> None:
        os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return TIMED_OUT if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _test(arguments: list[str]) -> None:
    """Run pytest in this process, silently, and end it."""
    os.setpgid(0, 0)
    silence = os.open(os.environ.get("DESK_MUTANTS_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(silence, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 3
    try:
        import pytest

        code = int(pytest.main(arguments))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
