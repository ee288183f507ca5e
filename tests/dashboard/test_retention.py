"""What signing in and beat leave behind goes, and the page Health says what went."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from algotrendy.retention import nightly
from algotrendy.retention.models import Removal
from dashboard import tasks
from dashboard.selectors import health

pytestmark = pytest.mark.django_db(transaction=True)


def test_expired_sessions_go_and_others_stay() -> None:
    now = timezone.now()
    for name, days in (("old", -1), ("young", 1)):
        Session.objects.create(session_key=name, session_data="", expire_date=now + timedelta(days=days))
    assert tasks.remove_old() == 1
    assert Session.objects.get().session_key == "young"


def test_entries_of_tasks_that_are_no_more_go_and_those_of_people_stay() -> None:
    hourly, _ = IntervalSchedule.objects.get_or_create(every=1, period="hours")
    for task in ("brokers.a_task_of_long_ago", "mlmodels.retrain_all"):
        PeriodicTask.objects.create(name=f"mine: {task}", task=task, interval=hourly)
    assert tasks.remove_old() == 1
    assert PeriodicTask.objects.get().task == "mlmodels.retrain_all"


def test_a_night_without_anything_old_is_through_and_asks_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    nudged: list[str] = []
    monkeypatch.setattr(nightly, "nudge", nudged.append)
    assert tasks.remove_old() == 0
    assert nudged == []
    assert Removal.objects.filter(ended_at__isnull=False).count() == 2


def test_health_says_what_was_last_removed_and_how_large_the_database_is() -> None:
    assert "nothing old was removed yet" in health.database_part().text
    at = timezone.now().replace(month=5, day=4, hour=3, minute=2)
    Removal.objects.create(name="expired sessions", ended_at=at, removed=1200)
    text = health.database_part().text
    assert " MB; removed last, 04 May 03:02 UTC: 1,200 expired sessions" in text
