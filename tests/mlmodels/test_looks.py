"""How many looks of the gate count: a champion is protected from luck, and silence does not last for ever."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from mlmodels.models import ModelVersion, Promotion, TrainingRun
from mlmodels.models.registry import LOAD_ERROR, MAX_CHAMPION_AGE
from mlmodels.pipeline import gate
from mlmodels.registry import versions
from mlmodels.training import runs
from tests.support.ml_models import KEY, make_version

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)
DAY = timedelta(days=1)


def look(at: datetime, outcome: str = "keep") -> ModelVersion:
    """A version that the gate judged at `at` and did not promote."""
    version = make_version(state="rejected", with_model=False, verdict={"outcome": outcome})
    ModelVersion.objects.filter(pk=version.pk).update(created_at=at)
    return version


def champion(at: datetime) -> ModelVersion:
    """A champion that was promoted at `at`."""
    version = look(at - timedelta(minutes=1), outcome="promote")
    ModelVersion.objects.filter(pk=version.pk).update(state="champion", promoted_at=at)
    record = Promotion.objects.create(family=KEY.slug, version=version, version_name=version.name, reason="passed")
    Promotion.objects.filter(pk=record.pk).update(at=at)
    return version


def look_daily(first: datetime, days: int) -> None:
    for day in range(days):
        look(first + day * DAY)


def counted() -> int:
    return versions.attempts(KEY.slug, NOW)


def test_looks_count_while_a_champion_speaks_however_many() -> None:
    champion(NOW - 80 * DAY)
    look_daily(NOW - 79 * DAY, 79)
    assert counted() == 79


def test_the_count_begins_anew_when_the_champion_expires() -> None:
    expired = NOW - timedelta(hours=1)
    champion(expired - MAX_CHAMPION_AGE)
    look_daily(expired - MAX_CHAMPION_AGE + DAY, 89)
    assert counted() == 0
    assert gate.level(counted() + 1) == pytest.approx(0.0304, abs=1e-4)
    look(NOW - timedelta(minutes=30))
    assert counted() == 1


def test_the_count_begins_anew_when_the_champion_is_taken_out() -> None:
    version = champion(NOW - 30 * DAY)
    look_daily(NOW - 29 * DAY, 29)
    assert counted() == 29
    versions.retire(version=version, by=None, reason="holiday")
    Promotion.objects.filter(kind="retired").update(at=NOW - timedelta(seconds=1))
    assert counted() == 0


@pytest.mark.parametrize("trigger", [runs.Trigger.SKILL, runs.Trigger.ARTEFACT])
def test_the_count_begins_anew_when_the_champion_falls(trigger: str) -> None:
    champion(NOW - 30 * DAY)
    look_daily(NOW - 29 * DAY, 29)
    run = runs.request(family_key=KEY, trigger=trigger)
    TrainingRun.objects.filter(pk=run.pk).update(created_at=NOW - timedelta(hours=1))
    assert counted() == 0
    look(NOW - timedelta(minutes=1))
    assert counted() == 1


def test_other_trainings_let_the_count_go_on() -> None:
    champion(NOW - 30 * DAY)
    look_daily(NOW - 29 * DAY, 29)
    run = runs.request(family_key=KEY, trigger=runs.Trigger.SCHEDULE)
    TrainingRun.objects.filter(pk=run.pk).update(created_at=NOW - timedelta(hours=1))
    assert counted() == 29


@pytest.mark.parametrize(("days", "counts"), [(10, 10), (29, 29), (30, 0), (45, 15), (365, 5)])
def test_while_no_model_ever_spoke_the_count_begins_anew_every_thirty_days(days: int, counts: int) -> None:
    look_daily(NOW - days * DAY, days)
    assert counted() == counts


def test_after_an_expiry_the_count_begins_anew_every_thirty_days() -> None:
    champion(NOW - MAX_CHAMPION_AGE - 40 * DAY)
    look_daily(NOW - 40 * DAY, 40)
    assert counted() == 10


def test_a_champion_that_cannot_be_opened_protects_nobody() -> None:
    version = champion(NOW - 45 * DAY)
    look_daily(NOW - 45 * DAY, 45)
    assert counted() == 45
    ModelVersion.objects.filter(pk=version.pk).update(notes=[LOAD_ERROR + "forged"])
    assert counted() == 15


def test_the_first_look_of_all_counts() -> None:
    assert counted() == 0
    look(NOW - DAY)
    assert counted() == 1


def test_what_could_not_be_judged_is_no_look() -> None:
    look_daily(NOW - 3 * DAY, 2)
    look(NOW - DAY, outcome="insufficient")
    assert counted() == 2
