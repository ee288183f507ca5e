"""A Chromium for the browser tests: the system's, else Debian's package, else Playwright's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
HOW_TO_GET_ONE = (
    "no Chromium for the browser tests. Debian, Ubuntu: apt install chromium; "
    "elsewhere: .venv/bin/python -m playwright install chromium"
)


def find_chromium() -> str:
    """Return the path of a Chromium: the system's, else Playwright's own if it is installed.

    Raises RuntimeError saying how to get one.
    """
    for name in NAMES:
        if path := shutil.which(name):
            return path
    own = _playwrights_own()
    if own.exists():
        return str(own)
    raise RuntimeError(HOW_TO_GET_ONE)


def provide_chromium() -> str:
    """Return the path of a Chromium, installing one if there is none. Raises RuntimeError if that fails too."""
    try:
        return find_chromium()
    except RuntimeError:
        pass
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install("apt-get", "update", "-qq")
        _install("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    if not any(shutil.which(name) for name in NAMES):
        _install(sys.executable, "-m", "playwright", "install", "chromium")
    return find_chromium()


def _install(*command: str) -> None:
    """Run an installer quietly; whether it helped is seen by looking again."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        print(f"  {' '.join(command)} failed: {' '.join(last)}", file=sys.stderr)  # noqa: T201


def _playwrights_own() -> Path:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)
