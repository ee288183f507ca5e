"""A desk whose disk runs full in the middle of its work, on a small file system of its own.

Needs the right to mount one; the same faults are injected at each write in tests/algotrendy/test_disk_full.py.
"""

import contextlib
import errno
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from algotrendy.testing import Desk, running_desk, wait_until

pytestmark = pytest.mark.spine
SIZE = 220 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Take all the room there is."""
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as ballast:
        for size in (2**20, 4096, 1):
            with contextlib.suppress(OSError):
                while ballast.write(bytes(size)) == size:
                    pass


def post(url: str, body: dict[str, object]) -> tuple[int, str | None, dict[str, object]]:
    """Send an alert; return the status, Retry-After and the answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, None, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["Retry-After"], json.load(refusal)


def alert(number: int) -> dict[str, object]:
    return {"id": f"alert {number}", "ticker": "BTCUSDT", "action": "buy", "note": os.urandom(16_000).hex()}


def states(desk: Desk) -> Counter[str]:
    """How many alerts are in each state."""
    code = "from webhooks.models import Alert; print(*Alert.objects.values_list('state', flat=True))"
    return Counter(desk.manage("shell", "--no-imports", "-c", code).split())


def test_a_desk_outlives_a_full_disk_and_keeps_all_that_it_answered(small_disk: Path, tmp_path: Path) -> None:
    data, ballast = small_disk / "var", small_disk / "ballast"
    out = tmp_path / "up.out"
    with running_desk(data, env={"ALGOTRENDY_SIMULATED_HISTORY": "0"}, out=out) as desk:
        source = json.loads(desk.manage("create_source", "full", "--json", "--policy", "shadow"))
        stored: list[object] = []
        refused = 0

        def send() -> None:
            nonlocal refused
            status, retry_after, answer = post(source["url"], alert(len(stored) + refused))
            if status in (200, 202):
                stored.append(answer["alert"])
                return
            assert (status, retry_after) == (503, "5"), answer
            refused += 1

        for _ in range(20):
            send()
        assert refused == 0

        def is_refused() -> bool:
            fill(ballast)
            send()
            return refused > 5

        wait_until(is_refused, 120, "alerts to be refused on the full disk")
        desk.kill("postgres")  # it would end by itself once it needs another segment of its log

        def fails_to_start() -> bool:
            fill(ballast)
            send()
            return desk.output.count("postgres | ended with exit code") >= 3 and "the disk is full" in desk.output

        wait_until(fails_to_start, 120, "PostgreSQL to fail on the full disk")
        assert "✗ the disk is full" in desk.manage("doctor", check=False)
        ballast.unlink()
        desk.wait_until_ready(120)
        ids = "from webhooks.models import Alert; print(*Alert.objects.values_list('id', flat=True))"
        kept = {int(word) for word in desk.manage("shell", "--no-imports", "-c", ids).split()}
        assert set(stored) - kept == set()

        wait_until(lambda: states(desk)["received"] == 0, 120, "all alerts to be decided")
        assert states(desk)["failed"] == 0
        status, _, answer = post(source["url"], alert(10**6))
        assert status == 202, answer


def test_the_ballast_fills_the_disk_to_the_last_byte(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with (small_disk / "one more").open("wb", buffering=0) as file, pytest.raises(OSError) as refused:
        file.write(b"x")
    assert refused.value.errno == errno.ENOSPC
