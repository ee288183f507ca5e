"""The registry: who speaks, and that every change of it says who, why and against whom."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from mlmodels.models import Artefact, ModelVersion, Promotion
from mlmodels.pipeline.report import Verdict
from mlmodels.registry import artefacts, versions
from mlmodels.registry.versions import CannotPromote
from tests.support.training import REAL, a_version

pytestmark = pytest.mark.django_db
State = ModelVersion.State


def verdict(outcome: str = "promote") -> Verdict:
    return {
        "outcome": outcome, "text": f"it says {outcome}", "attempt": 1, "alpha": 0.03, "against": "",
        "period": None, "rows": 1000, "positives": 200, "checks": [],
    }  # fmt: skip


def with_artefact(version: ModelVersion) -> ModelVersion:
    Artefact.objects.create(
        version=version, format=artefacts.FORMAT, data=b"x", digest=b"y", libraries={}, golden={}
    )
    return version


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ada")


def crowned(name: str) -> ModelVersion:
    version = with_artefact(a_version(name))
    versions.apply_verdict(version=version, verdict=verdict(), compared_with=versions.champion(REAL.slug))
    version.refresh_from_db()
    return version


def test_a_family_without_a_version_says_that_none_was_trained() -> None:
    status = versions.champion_status(REAL.slug)
    assert (status.champion, status.expired, status.inactive_reason) == (
        None,
        False,
        "no model has been trained yet",
    )


def test_a_rejected_first_model_leaves_nobody_to_speak_and_says_why() -> None:
    version = with_artefact(a_version())
    assert not versions.apply_verdict(version=version, verdict=verdict("keep"), compared_with=None)
    version.refresh_from_db()
    assert version.state == State.REJECTED
    ModelVersion.objects.filter(pk=version.pk).update(verdict=verdict("keep"))
    assert "it says keep" in versions.champion_status(REAL.slug).inactive_reason


def test_the_first_promotion_is_recorded_as_such() -> None:
    version = crowned("20250101_000000")
    record = Promotion.objects.get()
    assert version.state == State.CHAMPION
    assert (record.kind, record.version, record.previous, record.by) == ("first", version, None, None)
    assert record.verdict["rows"] == 1000


def test_a_promotion_retires_the_champion_before_it() -> None:
    first, second = crowned("20250101_000000"), crowned("20250102_000000")
    first.refresh_from_db()
    assert (first.state, second.state) == (State.RETIRED, State.CHAMPION)
    record = Promotion.objects.first()
    assert record is not None
    assert (record.kind, record.previous) == ("gate", first)


def test_the_database_refuses_a_second_champion_of_a_family() -> None:
    crowned("20250101_000000")
    with pytest.raises(IntegrityError), transaction.atomic():
        a_version("20250102_000000", state=State.CHAMPION, promoted_at=timezone.now())


def test_a_comparison_with_somebody_who_is_no_longer_champion_promotes_nobody() -> None:
    old = crowned("20250101_000000")
    crowned("20250102_000000")
    late = with_artefact(a_version("20250103_000000"))
    assert not versions.apply_verdict(version=late, verdict=verdict(), compared_with=old)
    late.refresh_from_db()
    assert late.state == State.REJECTED
    assert "changed meanwhile" in late.notes[0]
    assert versions.champion(REAL.slug) == ModelVersion.objects.get(name="20250102_000000")


def test_a_champion_that_is_too_old_stops_speaking_and_says_so() -> None:
    version = crowned("20250101_000000")
    later = timezone.now() + versions.MAX_CHAMPION_AGE + timedelta(minutes=1)
    assert versions.champion_status(REAL.slug).inactive_reason == ""
    status = versions.champion_status(REAL.slug, later)
    assert status.champion == version
    assert status.expired
    assert "no longer speaks" in status.inactive_reason


def test_a_champion_deleted_by_hand_leaves_nobody_speaking_and_its_record() -> None:
    crowned("20250101_000000").delete()
    assert versions.champion_status(REAL.slug).champion is None
    record = Promotion.objects.get()
    assert (record.version, record.version_name) == (None, "20250101_000000")


def test_a_person_promotes_with_a_reason_and_not_without(person: User) -> None:
    version = with_artefact(a_version(state=State.ARCHIVED))
    with pytest.raises(CannotPromote, match="needs a reason"):
        versions.promote(version=version, by=person, reason="  ")
    record = versions.promote(version=version, by=person, reason="compared by hand")
    assert (record.kind, record.by, record.reason) == ("manual", person, "compared by hand")
    with pytest.raises(CannotPromote, match="champion already"):
        versions.promote(version=version, by=person, reason="again")


def test_a_version_without_a_stored_model_can_not_be_promoted(person: User) -> None:
    with pytest.raises(CannotPromote, match="no stored model"):
        versions.promote(version=a_version(), by=person, reason="please")


def test_rolling_back_makes_the_one_before_champion_again(person: User) -> None:
    first, second = crowned("20250101_000000"), crowned("20250102_000000")
    record = versions.roll_back(family=REAL.slug, by=person, reason="it lost money")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, record.kind) == (State.CHAMPION, State.RETIRED, "rollback")


def test_there_is_nothing_to_roll_back_to_before_a_second_champion(person: User) -> None:
    crowned("20250101_000000")
    with pytest.raises(CannotPromote, match="no earlier champion"):
        versions.roll_back(family=REAL.slug, by=person, reason="x")


def test_a_champion_taken_out_leaves_nobody_and_can_be_rolled_back_to(person: User) -> None:
    version = crowned("20250101_000000")
    versions.retire(version=version, by=person, reason="holiday")
    assert versions.champion(REAL.slug) is None
    versions.roll_back(family=REAL.slug, by=person, reason="back")
    assert versions.champion(REAL.slug) == version


def test_looks_count_from_the_last_change_of_champion_and_only_where_there_was_evidence() -> None:
    crowned("20250101_000000")
    assert versions.attempts(REAL.slug) == 0
    for number, outcome in enumerate(("keep", "insufficient", "keep")):
        a_version(f"20250201_00000{number}", verdict=verdict(outcome))
    assert versions.attempts(REAL.slug) == 2


def test_names_are_utc_seconds_and_never_taken_twice() -> None:
    at = timezone.now()
    first = versions.free_name(at)
    a_version(first)
    assert first == at.strftime("%Y%m%d_%H%M%S")
    assert versions.free_name(at) > first
