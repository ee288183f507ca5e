"""What of old models goes: bytes nobody can go back to, predictions nobody is judged by any more."""

from datetime import timedelta

import pytest
from django.test.utils import override_settings
from django.utils import timezone

from market.models import Instrument
from mlmodels import tasks
from mlmodels.models import Artefact, ModelVersion, Prediction
from mlmodels.registry import versions
from tests.support.ml_models import make_version
from tests.support.pages import person, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


def age(version: ModelVersion, days: int) -> ModelVersion:
    ModelVersion.objects.filter(pk=version.pk).update(created_at=timezone.now() - timedelta(days=days))
    return version


def predict(version: ModelVersion, days: int) -> None:
    instrument, _ = Instrument.objects.get_or_create(symbol="BTCUSDT")
    Prediction.objects.create(
        instrument=instrument, timeframe=300, open_time=timezone.now() - timedelta(days=days), market="live",
        version=version, schema_hash="x", probability=0, side="none", features=[],
    )  # fmt: skip


def test_only_the_bytes_of_old_rejected_versions_go() -> None:
    kept = [age(make_version(state=state), 400) for state in ("champion", "retired", "candidate", "archived")]
    young = age(make_version(state="rejected"), 29)
    old = age(make_version(state="rejected"), 31)
    assert tasks.remove_old() == 1
    assert set(Artefact.objects.values_list("version", flat=True)) == {row.pk for row in [*kept, young]}
    old.refresh_from_db()
    assert old.notes == ["Artefact deleted after 30 days: it can't be promoted."]


def test_one_that_was_champion_keeps_its_bytes_whatever_its_state() -> None:
    version = age(make_version(state="rejected"), 400)
    versions.promote(version=version, by=None, reason="by hand")
    ModelVersion.objects.filter(pk=version.pk).update(state="rejected")
    assert tasks.remove_old() == 0
    assert Artefact.objects.exists()


def test_its_page_says_so_and_a_promotion_is_refused() -> None:
    version = age(make_version(state="rejected", report={}), 400)
    tasks.remove_old()
    page = signed_in(person("viewer")).get(f"/models/{version.name}").content.decode()
    assert "Artefact deleted after 30 days" in page
    with pytest.raises(versions.CannotPromote, match="no stored model"):
        versions.promote(version=version, by=None, reason="by hand")


def test_old_predictions_of_former_models_go_and_the_champions_stay() -> None:
    champion, former = make_version(with_model=False), make_version(state="retired", with_model=False)
    for version in (champion, former):
        for days in (10, 400):
            predict(version, days)
    assert tasks.remove_old() == 1
    assert sorted(Prediction.objects.values_list("version", flat=True)) == sorted(
        [champion.pk, champion.pk, former.pk]
    )
    former.refresh_from_db()
    assert "Predictions deleted after 365 days" in former.notes[0]


@override_settings(KEEP_REJECTED_MODELS=0, KEEP_PREDICTIONS=0)
def test_zero_days_are_for_ever() -> None:
    age(make_version(state="rejected"), 4000)
    predict(make_version(state="retired", with_model=False), 4000)
    assert tasks.remove_old() == 0
