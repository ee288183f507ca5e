"""Predicting and labelling: one worker at a time, the agent's transaction kept, and no failure without a cause."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.test.utils import override_settings
from django.utils import timezone

from algotrendy.isolation.models import RowFailure
from mlmodels import retention, tasks
from mlmodels.inference import predictions
from mlmodels.inference.latest import latest_prediction
from mlmodels.models import Artefact, ModelVersion, Prediction
from mlmodels.registry import artefacts, versions
from tests.support.locks import held_elsewhere, lock_held_elsewhere
from tests.support.ml_models import NEED, TIMEFRAME, bars_of, clock_after, make_version, store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    artefacts.forget()


# --- predicting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task", [lambda: tasks.predict(TIMEFRAME), tasks.sweep_predictions], ids=["nudge", "sweep"]
)
def test_one_worker_predicts_at_a_time(task: Callable[[], int]) -> None:
    make_version()
    store("BTCUSDT", bars_of(["BTCUSDT"], NEED + 5)["BTCUSDT"])
    with lock_held_elsewhere("mlmodels.predict"):
        assert task() == 0
    assert not Prediction.objects.exists()
    assert task() == 1


@pytest.mark.parametrize("bars", [1, 3, NEED - 1])
def test_a_market_that_is_too_young_to_be_scored_is_no_failure(bars: int) -> None:
    make_version()
    store("BTCUSDT", bars_of(["BTCUSDT"], bars)["BTCUSDT"])
    assert predictions.sweep() == 0
    assert not RowFailure.objects.exists()


def test_a_prediction_that_the_database_refuses_leaves_the_agent_its_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = make_version()
    instrument = store("BTCUSDT", bars_of(["BTCUSDT"], NEED + 5)["BTCUSDT"])
    monkeypatch.setattr(predictions, "_STORE", "SELECT 1 / 0, %s, %s, %s, %s, %s, %s, %s, %s, %s")
    with transaction.atomic():
        latest = latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(NEED + 5))
        assert latest.inactive_reason == f"the model {version.name} could not be asked"
        assert ModelVersion.objects.count() == 1


# --- old rows ----------------------------------------------------------------------------------------------------


def old(days: int = 400, **fields: object) -> ModelVersion:
    """A version that the gate rejected long ago, with its artefact."""
    version = make_version(state="rejected", report={}, **fields)
    ModelVersion.objects.filter(pk=version.pk).update(created_at=timezone.now() - timedelta(days=days))
    return version


def prediction_of(version: ModelVersion, at: datetime) -> None:
    instrument = store("BTCUSDT", bars_of(["BTCUSDT"], 1, start=at)["BTCUSDT"])
    Prediction.objects.create(
        instrument=instrument, timeframe=300, open_time=at, market="live", version=version, schema_hash="x",
        probability=0, side="none", features=[],
    )  # fmt: skip


@override_settings(KEEP_REJECTED_MODELS=0, KEEP_PREDICTIONS=0)
def test_what_is_kept_for_ever_is_not_looked_for_and_nothing_fails() -> None:
    prediction_of(old(4000), timezone.now() - timedelta(days=4000))
    assert tasks.remove_old() == 0
    assert (Artefact.objects.count(), Prediction.objects.count()) == (1, 1)
    assert not RowFailure.objects.exists()


def test_old_predictions_of_every_former_model_go_in_one_night() -> None:
    for days in (500, 600, 700):
        prediction_of(old(with_model=False), timezone.now() - timedelta(days=days))
    assert tasks.remove_old() == 3
    assert tasks.remove_old() == 0
    assert not RowFailure.objects.exists()


def test_a_model_that_is_being_promoted_keeps_its_bytes() -> None:
    version = old()
    promote = lambda: versions.promote(version=version, by=None, reason="by hand")  # noqa: E731
    with held_elsewhere(promote), transaction.atomic():
        assert retention.delete_artefacts({}) is None
    version.refresh_from_db()
    assert version.state == "champion"
    assert Artefact.objects.filter(version=version).exists()
