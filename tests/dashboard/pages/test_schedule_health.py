"""Health says of the schedule which task is late, failed as a whole, or is switched off."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from algotrendy import celery as wiring
from algotrendy.isolation import schedule as runs
from algotrendy.isolation.models import ScheduledRun
from dashboard.selectors import health, schedule
from tests.support.pages import person, signed_in

pytestmark = pytest.mark.django_db
NAME = "brokers.sweep_orders"


@pytest.fixture(autouse=True)
def _nothing_noted(monkeypatch) -> None:
    monkeypatch.setattr(runs, "_noted_at", {})


@pytest.fixture
def entry() -> PeriodicTask:
    """A sweep of two seconds."""
    every = IntervalSchedule.objects.create(every=2, period="seconds")
    return PeriodicTask.objects.create(name=NAME, task=NAME, interval=every)


def request_of(name: str | None) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(periodic_task_name=name))


def age(**ago: float) -> None:
    ScheduledRun.objects.update(succeeded_at=timezone.now() - timedelta(**ago))


def test_a_task_that_succeeds_in_time_is_no_problem(entry) -> None:
    wiring._note_success(sender=request_of(NAME))
    assert schedule.problems() == []
    assert health.schedule_part().state == "ok"


def test_a_task_that_has_not_succeeded_for_long_is_late(entry) -> None:
    wiring._note_success(sender=request_of(NAME))
    age(seconds=50)
    assert schedule.problems() == []
    age(minutes=5)
    assert schedule.problems() == [f"{NAME} is late: it last succeeded 5 min ago"]
    assert "is late" in signed_in(person("viewer")).get("/health").content.decode()


def test_a_task_that_failed_as_a_whole_says_why_until_it_succeeds(entry) -> None:
    wiring._note_success(sender=request_of(NAME))
    wiring._note_failure(sender=request_of(NAME), exception=RuntimeError("no room"))
    [text] = schedule.problems()
    assert "RuntimeError: no room" in text
    wiring._note_success(sender=request_of(NAME))
    assert schedule.problems() == []


def test_a_nudge_is_not_the_schedule(entry) -> None:
    wiring._note_success(sender=request_of(None))
    wiring._note_failure(sender=request_of(None), exception=RuntimeError("odd"))
    assert ScheduledRun.objects.count() == 0


def test_a_task_that_was_sent_in_vain_is_a_problem(entry) -> None:
    assert schedule.problems() == []
    PeriodicTask.objects.update(total_run_count=schedule.SENT_IN_VAIN)
    assert schedule.problems() == [f"{NAME} was sent 3 times and never succeeded"]


def test_a_task_of_the_desk_that_is_switched_off_is_a_problem(entry) -> None:
    PeriodicTask.objects.update(enabled=False)
    assert schedule.problems() == [f"{NAME} is switched off"]


def test_a_daily_task_is_late_after_its_hour_and_not_before(entry) -> None:
    PeriodicTask.objects.all().delete()
    now = timezone.now()
    daily = CrontabSchedule.objects.create(minute="10", hour="3", timezone="UTC")
    PeriodicTask.objects.create(name="Retrain models", task="mlmodels.retrain_all", crontab=daily)
    ScheduledRun.objects.create(name="Retrain models", succeeded_at=now)
    assert schedule.problems() == []
    assert schedule.problems(now + timedelta(hours=26)) == ["Retrain models is late: it last succeeded 26 h ago"]


def test_times_that_cannot_be_read_are_that_entrys_alone(entry) -> None:
    odd = CrontabSchedule.objects.create(minute="every so often", hour="3", timezone="UTC")
    PeriodicTask.objects.create(name="A", task="a", crontab=odd)
    [text] = schedule.problems()
    assert text.startswith("A has times that can't be read")


def test_a_success_is_written_once_in_a_while(entry, django_assert_num_queries) -> None:
    runs.note_success(NAME)
    with django_assert_num_queries(0):
        runs.note_success(NAME)


def test_a_schedule_that_beat_has_not_written_yet_is_no_alarm() -> None:
    assert health.schedule_part().state == "off"
