"""Beat goes on when the wall clock is set: nothing waits for it to catch up, nothing is sent twice."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import ModelEntry

from algotrendy import beat
from algotrendy.celery import app
from algotrendy.isolation.models import RowFailure

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)
SWEEPS = set(settings.CELERY_BEAT_SCHEDULE)
EVERY_TWO_SECONDS = {"webhooks.work_inbox", "brokers.sweep_orders"}


class Recording(beat.Scheduler):
    """A scheduler that writes down what it would send."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(app=app)
        self._finalize.cancel()  # at the end of the tests there is no database any more

    def apply_entry(self, entry: ModelEntry, producer: object = None) -> None:
        self.sent[entry.name] += 1

    def send_due(self) -> Counter[str]:
        """Tick until nothing is due, and return what was sent."""
        self.sent = Counter()
        while self.tick() == 0:
            assert self.sent.total() < 1000
        return self.sent

    @property
    def producer(self) -> None:
        return None


class Clock:
    """A wall clock and a monotonic one."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.traveller = traveller
        self.monotonic = 1000.0

    def offset(self) -> float:
        return time.time() - self.monotonic

    def shift(self, by: timedelta) -> None:
        """Set the wall clock."""
        self.traveller.shift(by)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.traveller.shift(timedelta(seconds=seconds))
        self.monotonic += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with time_machine.travel(START, tick=False) as traveller:
        clocks = Clock(traveller)
        monkeypatch.setattr(beat, "_offset", clocks.offset)
        yield clocks


@pytest.fixture
def scheduler(clock: Clock) -> Recording:
    """Beat, after everything was sent once."""
    schedule = Recording()
    clock.wait(7200)
    schedule.send_due()
    return schedule


@pytest.mark.parametrize("back", [timedelta(seconds=90), timedelta(hours=1), timedelta(days=400)])
def test_a_clock_that_is_set_back_delays_nothing(scheduler: Recording, clock: Clock, back: timedelta) -> None:
    clock.shift(-back)
    scheduler.send_due()
    clock.wait(2)
    assert set(scheduler.send_due()) >= EVERY_TWO_SECONDS
    clock.wait(3600)
    assert set(scheduler.send_due()) >= SWEEPS


def test_a_clock_that_jumps_ahead_sends_everything_once_and_the_log_says_so(
    scheduler: Recording, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.shift(timedelta(days=30))
    sent = scheduler.send_due()
    assert "the clock was set by +2592000.0 s" in caplog.text
    assert set(sent) >= SWEEPS
    assert set(sent.values()) == {1}


def test_a_beat_that_starts_after_the_clock_was_set_back_does_not_wait_for_it(
    scheduler: Recording, clock: Clock
) -> None:
    scheduler.sync()
    assert PeriodicTask.objects.get(name="webhooks.work_inbox").last_run_at > START
    clock.shift(timedelta(days=-400))
    again = Recording()
    again.send_due()
    clock.wait(2)
    assert set(again.send_due()) >= EVERY_TWO_SECONDS


def test_what_ran_today_does_not_run_again_because_the_clock_moved(clock: Clock) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="3", timezone="UTC")
    PeriodicTask.objects.create(name="nightly", task="mlmodels.retrain", crontab=crontab)
    scheduler = Recording()
    scheduler.send_due()
    clock.wait(3601)
    assert scheduler.send_due()["nightly"] == 1
    clock.wait(3000)
    assert scheduler.send_due()["nightly"] == 0
    clock.shift(timedelta(minutes=-20))
    assert scheduler.send_due()["nightly"] == 0


def test_a_change_of_the_schedule_is_noticed_after_the_clock_was_set_back(
    scheduler: Recording, clock: Clock
) -> None:
    clock.shift(timedelta(hours=-3))  # before the last change
    scheduler.send_due()
    scheduler.schedule_changed()
    clock.wait(1)
    PeriodicTasks.update_changed()
    assert scheduler.schedule_changed()


def test_a_database_that_is_away_while_the_clock_is_set_ends_no_beat(
    scheduler: Recording, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(scheduler.Changes, "update_changed", fail)
        clock.shift(timedelta(hours=1))
        scheduler.send_due()
    clock.wait(2)
    assert set(scheduler.send_due()) >= EVERY_TWO_SECONDS


def test_the_failure_of_an_entry_that_was_removed_is_over(clock: Clock) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="3", timezone="UTC")
    odd = PeriodicTask.objects.create(name="odd", task="mlmodels.retrain", crontab=crontab)
    CrontabSchedule.objects.filter(pk=crontab.pk).update(minute="x")
    Recording()
    assert RowFailure.objects.filter(work=beat.WORK).exists()
    PeriodicTask.objects.filter(pk=odd.pk).delete()
    Recording()
    assert not RowFailure.objects.filter(work=beat.WORK).exists()


def test_a_clock_that_only_drifts_changes_nothing(
    scheduler: Recording, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(Recording, "_begin_anew", begun.append)
    for _ in range(10):
        clock.shift(timedelta(seconds=0.9))
        scheduler.tick()
    assert begun == []


def test_the_desk_uses_it() -> None:
    assert f"{beat.__name__}:{beat.Scheduler.__name__}" == settings.CELERY_BEAT_SCHEDULER


@pytest.mark.parametrize(
    "changes",
    [{"minute": "x"}, {"hour": "99"}, {"day_of_month": "31", "month_of_year": "2"}],
    ids=str,
)
def test_an_entry_that_can_not_be_read_keeps_no_other_from_running(clock: Clock, changes: dict[str, str]) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="3", timezone="UTC")
    PeriodicTask.objects.create(name="odd", task="mlmodels.retrain", crontab=crontab)
    CrontabSchedule.objects.filter(pk=crontab.pk).update(**changes)
    scheduler = Recording()
    clock.wait(7200)
    assert set(scheduler.send_due()) >= SWEEPS
    assert [failure.name for failure in RowFailure.objects.filter(work=beat.WORK)] == ["schedule odd"]
    CrontabSchedule.objects.filter(pk=crontab.pk).update(minute="0", hour="3", timezone="UTC", day_of_month="*")
    Recording()
    assert not RowFailure.objects.filter(work=beat.WORK).exists()
