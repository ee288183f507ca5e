"""Health: each part with its state and what to do, also while Valkey is down."""

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django.utils.html import escape

from algotrendy.supervisor.disk import Space
from brokers.contract import VenueUnavailable
from brokers.models import Connection, Order
from brokers.services import set_desk_state
from dashboard import tasks
from dashboard.models import Heartbeat, Reconciliation
from dashboard.selectors import health
from market.models import Feed
from tests.support.pages import alert, decided, decision_of, market, person, signed_in, source

pytestmark = pytest.mark.django_db
HOME = Path("/")


def part(name: str) -> health.Part:
    return next(found for found in health.parts() if found.name == name)


def beat(queue: str, seconds_ago: float = 1) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Heartbeat.objects.create(queue=queue, at=at, host="here", pid=7)


@pytest.fixture
def well(valkey) -> None:
    """A desk on which everything works."""
    market()
    Connection.objects.create(name="paper")
    for queue in health.QUEUES:
        beat(queue)


def test_a_desk_on_which_everything_works_says_so(well) -> None:
    assert health.worst(health.parts()) == "ok"
    page = signed_in(person("viewer")).get("/health").content.decode()
    assert "Everything works." in page


def test_a_page_without_valkey_still_answers_and_says_what_is_safe(well, settings, monkeypatch) -> None:
    monkeypatch.setattr(health, "check_valkey", lambda: "ConnectionError")
    answer = signed_in(person("viewer")).get("/health")
    assert answer.status_code == 200
    assert "Something is wrong" in answer.content.decode()
    found = part("Valkey")
    assert found.state == "bad"
    assert "alerts are kept" in found.todo


def test_a_stale_feed_is_told_where_its_name_stands(well) -> None:
    Feed.objects.update(last_candle_at=timezone.now() - timedelta(minutes=3))
    found = part("Feed simulated")
    assert found.state == "bad"
    assert "no candle for 3 min" in found.text
    assert "./mem doctor" in found.todo


def test_a_worker_that_fell_silent_is_told(well) -> None:
    Heartbeat.objects.filter(queue="trade").update(at=timezone.now() - timedelta(minutes=2))
    assert part("Trade worker").state == "bad"
    assert part("Trade worker").value == "Silent for 2 min"
    assert part("Training worker").state == "ok"


@pytest.mark.parametrize(
    ("room", "state", "value", "text", "todo"),
    [
        (Space(HOME, 10**11), "ok", "Has room", "100.00 GB free at /", ""),
        (Space(HOME, 10**9), "warn", "Low", "1.00 GB free at /", "Make room before it is full"),
        (Space(HOME, 10**6), "bad", "Full", "the disk is full, 0.00 GB free at /", "alerts are refused with 503"),
        (Space(HOME, 10**11, errno.ENOSPC), "bad", "Full", "the disk is full", "Free some"),
        (Space(HOME, 10**11, errno.EDQUOT), "bad", "Full", "the disk quota is used up", "Free some"),
        (Space(HOME, 10**11, errno.EROFS), "bad", "Broken", "Read-only file system", "not the room on it"),
    ],
)
def test_the_room_on_the_disk_is_told_with_what_to_do(well, monkeypatch, room, state, value, text, todo) -> None:
    monkeypatch.setattr(health, "space", lambda data: room)
    disk = part("Disk")
    assert (disk.state, disk.value) == (state, value)
    assert text in disk.text
    assert todo in disk.todo
    assert bool(disk.todo) == (state != "ok")
    shown = " ".join(signed_in(person("viewer")).get("/health").content.decode().split())
    assert escape(disk.text) in shown
    assert escape(disk.todo) in shown
    assert health.worst(health.parts()) == state


def test_the_room_that_is_told_is_that_of_the_data_folder(well, monkeypatch, settings) -> None:
    monkeypatch.setattr(health, "space", lambda data: Space(data, 10**11))
    assert part("Disk").text.endswith(f" at {settings.DATA_DIR}")


def test_a_queue_that_does_not_move_is_told_with_its_oldest_alert(well) -> None:
    alert(source(), received_at=timezone.now() - timedelta(minutes=1))
    found = part("Queue")
    assert (found.state, found.value) == ("bad", "Stuck")
    assert "Nothing is lost" in found.todo


def test_orders_in_doubt_are_told_with_what_to_do(well) -> None:
    taken = decided(source(), Feed.objects.get().instruments.get())
    entry = decision_of(taken).order_links.get(leg=0).order
    Order.objects.filter(pk=entry.pk).update(state="needs_review", reason="never heard of")
    found = part("Orders in doubt")
    assert (found.state, found.value) == ("bad", "1")
    assert any(trouble.what == f"Order #{entry.pk} needs review" for trouble in health.troubles())


def test_a_halted_desk_is_told_with_the_reason(well) -> None:
    set_desk_state(state="halted", by=None, reason="too hot")
    assert (part("Desk").state, part("Desk").text) == ("bad", "too hot")


def test_books_that_differ_are_told(well) -> None:
    Reconciliation.objects.create(
        connection=Connection.objects.get(),
        at=timezone.now(),
        differences=["position BTCUSDT: here 1, at the venue 2"],
    )
    found = part("Connection paper")
    assert found.state == "bad"
    assert "here 1, at the venue 2" in found.text


def test_comparing_books_keeps_the_result(well) -> None:
    tasks.reconcile()
    assert Reconciliation.objects.get().differences == []
    assert part("Connection paper").text.startswith("our books equal the venue's; all history was compared ")


def test_a_venue_that_cannot_be_read_is_a_result_too(well, monkeypatch) -> None:
    def away(connection, **_: object):
        raise VenueUnavailable("closed for the night")

    monkeypatch.setattr(tasks.books, "advance", away)
    tasks.reconcile()
    assert "closed for the night" in part("Connection paper").text


def test_a_sign_of_life_is_written_once_per_queue() -> None:
    for _ in range(2):
        tasks.heartbeat("trade")
    assert Heartbeat.objects.get().queue == "trade"


def test_the_wait_of_a_task_follows_from_when_it_would_expire() -> None:
    now = datetime(2026, 1, 5, 10, 0, 9, tzinfo=UTC)
    assert tasks.waited("2026-01-05T10:00:16+00:00", now) == pytest.approx(3)
    assert tasks.waited(now + timedelta(seconds=10), now) == 0
    assert tasks.waited(None, now) is None


def test_the_newest_failures_are_listed_with_links(well) -> None:
    taken = alert(source(), state="failed", reason="The message is empty.")
    page = signed_in(person("viewer")).get("/health").content.decode()
    assert f'href="/alerts/{taken.pk}"' in page
    assert "The message is empty." in page


def test_a_feed_that_is_switched_off_is_no_alarm(well) -> None:
    Feed.objects.update(enabled=False)
    assert part("Feed simulated").state == "off"
