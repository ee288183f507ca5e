"""Old marks of equity are fewer, and say the same of highs, lows, drawdowns and starts of days."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test.utils import override_settings
from django.utils import timezone

from algotrendy.retention.nightly import Progress
from brokers import selectors, tasks
from brokers.ledger import thinning
from brokers.models import Connection, EquityMark
from brokers.venues.paper import compacting
from brokers.venues.paper.broker import PaperBroker
from brokers.venues.paper.models import PaperEvent
from tests.support.brokers import enter, make_connection, make_instrument

pytestmark = pytest.mark.django_db(transaction=True)

DAY = datetime(2026, 3, 2, tzinfo=UTC)


def mark(connection: Connection, start: datetime, count: int, seed: int, every: int = 10) -> None:
    """Write marks of a random walk."""
    chance, value = random.Random(seed), 100_000
    rows = []
    for number in range(count):
        value += chance.randint(-50, 50)
        at = start + timedelta(seconds=every * number)
        rows.append(EquityMark(connection=connection, at=at, equity=value, unrealised_pnl=0))
    EquityMark.objects.bulk_create(rows)


def values(connection: Connection) -> list[Decimal]:
    rows = EquityMark.objects.filter(connection=connection).order_by("at")
    return list(rows.values_list("equity", flat=True))


def worst_fall(equity: list[Decimal]) -> Decimal:
    peak, worst = equity[0], Decimal(0)
    for value in equity:
        peak = max(peak, value)
        worst = max(worst, peak - value)
    return worst


def thin_all(days: int, hours_after: int = 0) -> int:
    """Thin everything as on the day that is `days` after DAY; return how many marks went."""
    progress: Progress = {}
    total = 0
    with time_machine.travel(DAY + timedelta(days=days, hours=1), tick=False):
        while (count := thinning.thin_next_day(progress)) is not None:
            total += count
    return total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("days", "width", "most"), [(30, 300, 5), (200, 3600, 5)])
def test_the_worst_fall_the_ends_and_the_extremes_stay(seed: int, days: int, width: int, most: int) -> None:
    connection = make_connection()
    mark(connection, DAY, 1440, seed)
    mark(connection, DAY + timedelta(days=1), 700, seed + 100)
    before = values(connection)
    thin_all(days)
    after = values(connection)
    stretches = 4 * 3600 // width + 7200 // width
    assert len(after) <= most * stretches + 2
    assert (max(after), min(after), after[-1]) == (max(before), min(before), before[-1])
    assert worst_fall(after) == worst_fall(before)


def test_thinning_in_two_stages_loses_no_fall_either() -> None:
    connection = make_connection()
    mark(connection, DAY, 2000, 7)
    before = values(connection)
    thin_all(30)
    once = len(values(connection))
    thin_all(200)
    assert len(values(connection)) < once < len(before)
    assert worst_fall(values(connection)) == worst_fall(before)


def test_each_day_still_starts_from_the_last_mark_before_it() -> None:
    connection = make_connection()
    mark(connection, DAY, 8640, 3)
    EquityMark.objects.create(connection=connection, at=DAY + timedelta(days=1), equity=77, unrealised_pnl=0)
    mark(connection, DAY + timedelta(days=1, seconds=5), 8639, 4)
    noons = [DAY + timedelta(days=number, hours=12) for number in (1, 2)]
    before = [selectors.account(connection, noon).day_start_equity for noon in noons]
    assert thin_all(200) > 17_000
    assert [selectors.account(connection, noon).day_start_equity for noon in noons] == before
    assert before[0] == 77


def test_young_marks_and_marks_that_are_kept_for_ever_stay() -> None:
    connection = make_connection()
    mark(connection, DAY, 1000, 5)
    assert thin_all(7) == 0
    with override_settings(KEEP_EQUITY_MARKS=0, KEEP_FIVE_MINUTE_EQUITY=0):
        assert thin_all(300) == 0
    assert len(values(connection)) == 1000


def test_events_that_newer_ones_repeat_are_deleted_and_no_reader_misses_an_order() -> None:
    connection, instrument = make_connection(), make_instrument()
    for _ in range(3):
        enter(connection, instrument, stop="90")
    broker = PaperBroker(connection)
    cursors = [0, *PaperEvent.objects.order_by("id").values_list("id", flat=True)]

    def told(cursor: int) -> set[str]:
        return {order.client_order_id for order in broker.updates(cursor).orders}

    before = {cursor: told(cursor) for cursor in cursors}
    newest = broker.updates(0).cursor
    progress: dict[str, int] = {}
    later = timezone.now() + timedelta(seconds=1)
    assert (compacting.compact(progress, later) or 0) > 0
    assert compacting.compact(progress, later) is None
    assert PaperEvent.objects.count() == PaperEvent.objects.values("order").distinct().count()
    assert {cursor: told(cursor) for cursor in cursors} == before
    assert broker.updates(0).cursor == newest


def test_the_task_of_the_night_does_both(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, instrument = make_connection(), make_instrument()
    enter(connection, instrument)
    mark(connection, DAY, 1000, 5)
    events = PaperEvent.objects.count()
    PaperEvent.objects.update(recorded_at=DAY)
    with time_machine.travel(DAY + timedelta(days=40), tick=False):
        assert tasks.remove_old() == (1000 - len(values(connection))) + (events - PaperEvent.objects.count()) > 0
