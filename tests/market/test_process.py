"""The feed process itself: one at a time, and alive after its database died."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from algotrendy.testing import wait_until
from market import services
from market.feeds.runner import Runner
from market.models import Candle, Feed

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def running() -> Iterator[Runner]:
    desk = Runner()
    thread = threading.Thread(target=desk.run)
    thread.start()
    try:
        yield desk
    finally:
        desk.stop()
        thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def feed() -> Feed:
    feed = Feed.objects.create(name="simulated", driver="simulator", timeframe=1)
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument("BTCUSDT")])
    return feed


def more_candles() -> Callable[[], bool]:
    before = Candle.objects.count()
    return lambda: Candle.objects.count() > before


def end_other_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]


def test_it_goes_on_after_its_database_connection_was_cut(feed: Feed) -> None:
    with running() as desk:
        wait_until(more_candles(), 10, "the history")
        for _ in range(2):
            assert end_other_connections() >= 1
            wait_until(more_candles(), 10, "candles after the loss")
        wait_until(lambda: desk.holds_lock, 5, "the lock")
    times = list(Candle.objects.order_by("open_time").values_list("open_time", flat=True))
    assert (times[-1] - times[0]).total_seconds() == len(times) - 1
    feed.refresh_from_db()
    assert feed.state == "stopped"


def test_a_second_process_waits_until_the_first_has_ended(feed: Feed) -> None:
    with running() as first:
        wait_until(lambda: first.holds_lock, 10, "the lock")
        with running() as second:
            wait_until(more_candles(), 10, "candles")
            assert not second.holds_lock
            first.stop()
            wait_until(lambda: second.holds_lock, 10, "the second to take over")
            wait_until(more_candles(), 10, "candles of the second")
