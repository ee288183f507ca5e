"""What beat's tasks ask of the database does not grow with history. `./mem bench growth` measures the rest."""

from collections.abc import Iterator

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.history import year
from brokers.ledger import reconcile
from brokers.models import Comparison, Connection, Order
from market.models import Instrument
from memory import outcomes
from mlmodels.models import ModelVersion

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ("BNBUSDT", "BTCUSDT", "ETHUSDT", "XRPUSDT")
#: What a task with nothing new to do asks at most: each for its own parts, never for its history.
MOST_QUERIES = 30
SCHEDULE = settings.CELERY_BEAT_SCHEDULE


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A desk whose days are short, with tasks that nudge nobody."""
    sizes = {"ALERTS_A_DAY": 40, "ORDERS_A_DAY": 16, "MARKS_A_DAY": 60, "CANDLES_A_DAY": 40}
    for name, size in sizes.items():
        monkeypatch.setattr(year, name, size)
    monkeypatch.setattr(outcomes, "_looked", outcomes._Looked())
    for module in ("algotrendy.events", "dashboard.tasks", "webhooks.tasks", "algotrendy.retention.nightly"):
        monkeypatch.setattr(f"{module}.nudge", lambda *_: True)
    current_app.loader.import_default_modules()
    for symbol in SYMBOLS:
        Instrument.objects.create(symbol=symbol)
    Connection.objects.create(name="paper")
    ModelVersion.objects.create(
        name="20260101_000000", family="reversal-5s-simulated", timeframe=5, simulated=True, state="retired",
        schema="desk-1", schema_hash="0" * 64, recipe={},
    )  # fmt: skip
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")


def write(days: int) -> None:
    with connection.cursor() as cursor:
        for statement in year.statements(days):
            cursor.execute(statement)
        cursor.execute("SET session_replication_role = DEFAULT")


def queries_of_all() -> dict[str, int]:
    """Run every entry of beat's schedule until it has caught up; return what one more run of each asks."""
    for _ in range(2):
        for entry in SCHEDULE.values():
            current_app.tasks[entry["task"]].apply(args=entry.get("args", ()), throw=True)
    counts = {}
    for name, entry in SCHEDULE.items():
        with CaptureQueriesContext(connection) as queries:
            current_app.tasks[entry["task"]].apply(args=entry.get("args", ()), throw=True)
        counts[name] = len(queries)
    return counts


@pytest.mark.parametrize("days", [1, 12])
def test_each_task_asks_a_bounded_number_of_queries_however_long_the_history(desk: None, days: int) -> None:
    write(days)
    counts = queries_of_all()
    assert set(counts) == set(SCHEDULE)
    assert {name: count for name, count in counts.items() if count > MOST_QUERIES} == {}


def test_the_books_that_the_benchmark_writes_agree(desk: None) -> None:
    write(3)
    account = Connection.objects.get()
    assert Order.objects.count() == 48
    assert reconcile.compare_all(account) == []
    assert Comparison.objects.get().order_id == Order.objects.order_by("-id")[0].pk


def test_a_closed_trade_is_looked_at_once_and_a_late_one_still_linked(desk: None) -> None:
    write(3)
    outcomes.resolve_all()
    with CaptureQueriesContext(connection) as queries:
        outcomes.resolve_all()
    assert [query["sql"] for query in queries if "brokers_fill" in query["sql"]] == []
