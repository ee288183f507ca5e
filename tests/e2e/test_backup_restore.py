"""A desk is backed up while it works, lost, and restored: the ledger is equal, and its ids are new."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from algotrendy import paths
from algotrendy.testing import Desk, desk_environment, free_port, running_desk, wait_until

pytestmark = pytest.mark.spine
LEDGER = """
import json
from django.apps import apps
from django.db import connection
from brokers.models import Desk, Order
tables = [m._meta.db_table for m in apps.get_models(include_auto_created=True)
          if m._meta.app_label in ("brokers", "paper", "memory", "webhooks")]
with connection.cursor() as cursor:
    cursor.execute("SET TIME ZONE 'UTC'")
    sums = {}
    for table in tables:
        extra = " WHERE false" if table == "brokers_desk" else ""
        cursor.execute(f"SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) "
                       f"FROM {table} t{extra}")
        sums[table] = cursor.fetchone()
ids = sorted(Order.objects.values_list("client_order_id", flat=True))
open_orders = Order.objects.filter(state="accepted").count()
print(json.dumps({"sums": sums, "uid": str(Desk.objects.get().uid), "ids": ids, "open": open_orders}))
"""


def shell(desk: Desk, code: str) -> str:
    return desk.manage("shell", "--no-imports", "-c", code).strip().splitlines()[-1]


def ledger(desk: Desk) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(shell(desk, LEDGER))
    return answer


def mem(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(paths.BASE_DIR / "manage.py"), *arguments], cwd=paths.BASE_DIR,
        env=desk_environment(data, free_port()), capture_output=True, text=True, check=False,
    )  # fmt: skip


def quiet(desk: Desk) -> None:
    """Stop what moves a desk without being asked: candles."""
    desk.manage("feeds", "disable", "simulated")


def traded(desk: Desk) -> bool:
    return json.loads(shell(desk, LEDGER))["open"] > 0


def test_a_lost_desk_is_restored_with_an_equal_ledger_and_new_ids(tmp_path: Path) -> None:
    data, file = tmp_path / "var", tmp_path / "desk.zip"
    running = tmp_path / "running.zip"
    with running_desk(data) as desk:
        desk.manage("create_source", "mine", "--policy", "follow")
        desk.manage("send_alert", "--source", "mine", "--symbol", "BTCUSDT", "--action", "buy")
        wait_until(lambda: traded(desk), 60, "an entry with its stop and target at the venue")
        while_running = mem(data, "backup", str(running))
        assert while_running.returncode == 0, while_running.stderr
        assert "It holds the desk's secrets" in while_running.stdout
        refused = mem(data, "restore", str(running), "--yes")
        assert (refused.returncode, "stop it first" in refused.stderr) == (1, True), refused.stderr
        quiet(desk)
        before = ledger(desk)
        secrets = json.loads((data / "secrets.json").read_text())
    backed_up = mem(data, "backup", str(file))
    assert backed_up.returncode == 0, backed_up.stderr
    assert file.stat().st_mode & 0o777 == 0o600

    shutil.rmtree(data)
    restored = mem(data, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert json.loads((data / "secrets.json").read_text()) == secrets
    assert not (data / "restoring").exists()
    with running_desk(data) as desk:
        after = ledger(desk)
        assert (after["ids"], after["open"]) == (before["ids"], before["open"])
        changed = {name for name in before["sums"] if after["sums"][name] != before["sums"][name]}
        assert changed <= {"brokers_equitymark", "brokers_connection"}  # marks, and when a venue was last asked
        assert after["uid"] != before["uid"]
        assert "the ledger equals the venue's" in desk.manage("reconcile", "--full")
        desk.manage("feeds", "enable", "simulated")
        desk.manage("send_alert", "--source", "mine", "--symbol", "ETHUSDT", "--action", "buy")
        wait_until(lambda: len(ledger(desk)["ids"]) > len(before["ids"]), 60, "a new order")
    again = mem(data, "restore", str(file))
    assert (again.returncode, "Add --yes" in again.stderr) == (1, True)
    replaced = mem(data, "restore", str(running), "--yes")
    assert replaced.returncode == 0, replaced.stderr
    [old] = [path for path in data.glob("replaced-*") if (path / "postgres").exists()]
    assert {"postgres", "secrets.json", "valkey"} <= {path.name for path in old.iterdir()}
