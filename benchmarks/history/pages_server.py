"""Answers pages in one process, without a network: what a page costs the server.

`python -m benchmarks.history.pages_server` with DATABASE_URL in the environment. Each line of standard input is a
path, or "list" for all paths worth asking; each answer is one line of JSON. With " queries" behind the path the
queries are counted instead of the time.
"""

import json
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.test import Client

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "algotrendy.settings")

PAGES = """
/ /alerts /alerts?before={half} /alerts?state=failed /alerts?source=rare /alerts?source=seldom
/alerts?instrument=BTCUSDT /alerts?state=decided&source=rare /alerts/{half}
/decisions /decisions?before={half} /decisions?source=rare /decisions?action=CLOSE /decisions?instrument=BTCUSDT
/decisions/{half} /decisions/{half}/chart.json
/orders /orders?before={half} /orders?state=rejected /orders/{half}
/trades /trades?before={quarter} /trades/{quarter}
/sources /sources/1 /sources/1/setup /brokers /brokers/paper /health /settings
/models /models/proof /data/candles?symbol=BTCUSDT /data/markers?symbol=BTCUSDT /data/equity /prometheus
"""
API = """
/api/v1/alerts /api/v1/alerts/{half} /api/v1/decisions /api/v1/decisions/{half} /api/v1/orders
/api/v1/models /api/v1/predictions /api/v1/orders/{half} /api/v1/fills /api/v1/positions /api/v1/trades
/api/v1/equity /api/v1/desk
"""


def main() -> None:
    """Answer lines until there are no more."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client

    from webhooks.services import create_key

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.filter(is_superuser=True)[0])
    key = create_key(name=f"bench {os.getpid()}", scope="read")
    headers = {"Authorization": f"Bearer {key[1]}"}
    for line in sys.stdin:
        path = line.strip()
        answer = _paths() if path == "list" else _answer(client, connection, path, headers)
        print(json.dumps(answer), flush=True)


def _paths() -> list[str]:
    from django.contrib import admin
    from django.urls import reverse

    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]
    return [*PAGES.split(), *API.split(), *lists]


def _answer(
    client: "Client", connection: "BaseDatabaseWrapper", line: str, headers: dict[str, str]
) -> dict[str, float]:
    from django.test.utils import CaptureQueriesContext

    path, counted = line.removesuffix(" queries"), line.endswith(" queries")
    extra = headers if path.startswith("/api/") else {}
    began = time.perf_counter()
    if counted:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path, headers=extra)
        return {"status": answer.status_code, "queries": len(queries), "bytes": len(answer.content)}
    answer = client.get(path, headers=extra)
    return {"status": answer.status_code, "ms": (time.perf_counter() - began) * 1000}


if __name__ == "__main__":
    main()
