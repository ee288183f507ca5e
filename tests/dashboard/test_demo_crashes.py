"""Taking the demo away beside workers: it waits for them, is done as a whole or not at all, and says which."""

import threading
from collections.abc import Callable
from unittest.mock import patch

import psycopg
import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from algotrendy.history.models import Change
from algotrendy.locks import lock_in_transaction
from dashboard import demo
from dashboard.live import topics
from dashboard.models import Setup
from memory.models import Decision, Tally
from tests.support.locks import held_elsewhere, until_somebody_waits
from tests.support.pages import decided, market, person, signed_in, source
from webhooks import inbox
from webhooks.models import Alert, Source

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(Exception):
    """Stands for the end of the process at this point."""


@pytest.fixture
def lived() -> Source:
    """The demo after an alert of its was decided."""
    sender = source("Demo", is_demo=True)
    decided(sender, market())
    Tally.objects.create(source=sender.slug, instrument=market("ETHUSDT"), side="long", wins=1, cases=2)
    return sender


def remove_beside(job: Callable[[], object]) -> list[demo.Footprint | None]:
    """Remove the demo while another connection has done `job`; that commits once the removal waits for it."""
    results: list[demo.Footprint | None] = []

    def run() -> None:
        try:
            results.append(demo.remove(by=None))
        finally:
            connections.close_all()

    with held_elsewhere(job) as end:
        thread = threading.Thread(target=run)
        thread.start()
        until_somebody_waits()
        assert Source.objects.filter(is_demo=True).exists()
        end()
        thread.join(60)
    return results


def test_it_waits_for_the_alert_that_is_being_decided(lived: Source) -> None:
    [left] = remove_beside(lambda: lock_in_transaction(inbox.LOCK))
    assert left is not None
    assert not Source.objects.exists()


def test_an_alert_that_comes_in_meanwhile_goes_too(lived: Source) -> None:
    late = {"source": lived, "idempotency_key": "late", "body": b"{}", "received_at": timezone.now()}
    [left] = remove_beside(lambda: Alert.objects.create(**late))
    assert left is not None
    assert left.alerts == 2
    assert not Alert.objects.exists()


@pytest.mark.parametrize("shared", [False, True])
def test_a_crash_before_its_end_leaves_the_demo_as_it_was(lived: Source, shared: bool) -> None:
    if shared:
        decided(source("Mine", connection=lived.connection), lived.alerts.get().instrument, "short")
    tables = (Source, Alert, Decision, Tally, Setup, Change)
    before = [list(table.objects.order_by("pk").values()) for table in tables]
    with patch("dashboard.demo.note", side_effect=Killed), pytest.raises(Killed):
        demo.remove(by=None)
    assert [list(table.objects.order_by("pk").values()) for table in tables] == before
    assert demo.remove(by=None) is not None


def deadlock() -> OperationalError:
    """What Django raises for a transaction that PostgreSQL chose to end."""
    error = OperationalError("deadlock detected")
    error.__cause__ = psycopg.errors.DeadlockDetected()
    return error


def test_a_worker_in_the_way_is_waited_for_again(lived: Source) -> None:
    stop = demo._stop_everybody
    with patch("dashboard.demo._stop_everybody", side_effect=[deadlock(), deadlock(), stop]):
        assert demo.remove(by=None) is not None
    assert not Source.objects.exists()


def test_a_desk_that_does_not_come_to_a_stop_keeps_its_demo_and_the_page_says_so(lived: Source) -> None:
    browser = signed_in(person("admin", name="boss"))
    with patch("dashboard.demo._stop_everybody", side_effect=deadlock()):
        page = browser.post("/sources/demo/remove", follow=True).content.decode()
    assert "Nothing was removed: the desk could not be brought to a stop for it" in page
    assert "was gone already" not in page
    assert Source.objects.filter(is_demo=True, revoked_at=None).exists()


def test_a_database_that_goes_away_is_no_busy_desk(lived: Source) -> None:
    with patch("dashboard.demo._stop_everybody", side_effect=OperationalError("gone")) as stop:
        with pytest.raises(OperationalError):
            demo.remove(by=None)
        stop.assert_called_once()


def test_who_comes_second_is_told_that_it_was_gone(lived: Source) -> None:
    browser = signed_in(person("admin", name="boss"))
    remove = demo._remove

    def after_another(by: object) -> demo.Footprint | None:
        remove(None)
        return remove(None)

    with patch("dashboard.demo._remove", side_effect=after_another):
        page = browser.post("/sources/demo/remove", follow=True).content.decode()
    assert "The demo was gone already." in page


def test_the_open_pages_learn_that_it_is_gone(lived: Source) -> None:
    with patch("dashboard.receivers.send") as send:
        demo.remove(by=None)
    topics_sent = {name for call in send.call_args_list for name in call.args}
    assert {topics.SOURCES, topics.ALERTS, topics.DECISIONS, topics.ORDERS, topics.EQUITY} <= topics_sent
