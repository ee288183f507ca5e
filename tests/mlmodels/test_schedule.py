"""The schedule of trainings: made once, the admin's from then on, and told to the second."""

from datetime import UTC, datetime

import pytest
import time_machine
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from mlmodels.training import schedule

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_desk_trains_daily_at_ten_past_three_unless_somebody_says_otherwise() -> None:
    assert schedule.ensure_schedule()
    PeriodicTask.objects.filter(name=schedule.NAME).update(last_run_at=NOON)
    with time_machine.travel(NOON, tick=True):
        assert schedule.next_retrain() == datetime(2026, 3, 3, 3, 10, tzinfo=UTC)


def test_what_an_admin_changed_stays_at_the_next_start() -> None:
    schedule.ensure_schedule()
    minute, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.MINUTES)
    PeriodicTask.objects.filter(name=schedule.NAME).update(crontab=None, interval=minute)
    assert not schedule.ensure_schedule()
    task = schedule.retrain_task()
    assert task is not None
    assert (task.crontab, task.interval, task.queue) == (None, minute, "training")


def test_a_schedule_that_is_switched_off_or_removed_has_no_next_time() -> None:
    assert schedule.next_retrain() is None
    schedule.ensure_schedule()
    PeriodicTask.objects.update(enabled=False)
    assert schedule.next_retrain() is None
