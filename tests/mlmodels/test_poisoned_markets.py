"""An instrument, a market or a model that can't be handled keeps no other without predictions and trainings."""

import pytest

from algotrendy.isolation.models import RowFailure
from mlmodels.inference import champions, monitoring, outcomes, predictions
from mlmodels.models import Artefact, ModelVersion, Prediction, TrainingRun
from mlmodels.pipeline import scoring
from mlmodels.registry import artefacts, families
from mlmodels.registry.families import FamilyKey
from mlmodels.training import requirements, runs, worker
from tests.support.ml_models import KEY, NEED, bars_of, make_version, store

pytestmark = pytest.mark.django_db
OTHER = FamilyKey(900, simulated=False)


def works() -> set[str]:
    return set(RowFailure.objects.values_list("work", flat=True))


@pytest.fixture
def two_instruments() -> dict[str, int]:
    series = bars_of(["BTCUSDT", "ETHUSDT"], NEED + 20)
    return {symbol: store(symbol, bars).pk for symbol, bars in series.items()}


def test_an_instrument_whose_bars_cannot_be_scored_keeps_no_other_without_predictions(
    two_instruments, monkeypatch
) -> None:
    make_version()
    odd, good = two_instruments["BTCUSDT"], two_instruments["ETHUSDT"]
    known = scoring._known_bars

    def fail(scorer, instrument_id, bars, after):
        if instrument_id == odd:
            raise FloatingPointError("odd bars")
        return known(scorer, instrument_id, bars, after)

    monkeypatch.setattr(scoring, "_known_bars", fail)
    assert predictions.score_markets() == 1
    assert Prediction.objects.get().instrument_id == good
    failure = RowFailure.objects.get()
    assert (failure.work, failure.table, failure.key) == (predictions.SCORE, "market.instrument", str(odd))
    monkeypatch.undo()
    assert predictions.score_markets() == 1
    assert works() == set()


def test_a_market_that_cannot_be_scored_keeps_no_other_without_predictions(two_instruments, monkeypatch) -> None:
    make_version()
    monkeypatch.setattr(families, "quoted_families", lambda: [OTHER, KEY])
    find = champions.champion_scorer

    def fail(key):
        if key == OTHER:
            raise KeyError("odd")
        return find(key)

    monkeypatch.setattr(champions, "champion_scorer", fail)
    assert predictions.score_markets() == 2
    assert RowFailure.objects.get().name == OTHER.slug


def test_a_champion_whose_artefact_is_gone_keeps_no_other_market_silent(two_instruments) -> None:
    gone = make_version(OTHER, with_model=False)
    make_version()
    artefacts.forget()
    assert not Artefact.objects.filter(version=gone).exists()
    assert predictions.score_markets() == 2


def test_labels_of_the_other_market_are_written(monkeypatch) -> None:
    done = []

    def label(key):
        if key == KEY:
            raise ValueError("odd")
        done.append(key)
        return 1

    monkeypatch.setattr(families, "all_families", lambda: [KEY, OTHER])
    monkeypatch.setattr(outcomes, "sweep", label)
    assert predictions.sweep() == 1
    assert done == [OTHER]
    assert works() == {predictions.LABEL}


def test_old_predictions_of_the_other_version_are_forgotten(monkeypatch) -> None:
    odd, good = (make_version(FamilyKey(size, simulated=True), with_model=False) for size in (5, 10))
    monkeypatch.setattr(predictions, "_forget", lambda pk, before: 1 // (pk - odd.pk) * 7)
    assert predictions.forget_simulated() == 7 // (good.pk - odd.pk)
    assert RowFailure.objects.get().key == str(odd.pk)


def test_the_other_champion_is_watched(monkeypatch) -> None:
    odd, good = make_version(with_model=False), make_version(OTHER, with_model=False)

    def reason(version: ModelVersion) -> str:
        if version.pk == odd.pk:
            raise KeyError("a report without figures")
        return "its skill fell"

    monkeypatch.setattr(monitoring, "degradation_reason", reason)
    assert monitoring.retrain_degraded() == 1
    assert TrainingRun.objects.get().family == good.family
    assert works() == {"mlmodels.watch_skill"}


@pytest.mark.parametrize("request_trainings", ["request_first_models", "request_scheduled_retrains"])
def test_the_other_market_gets_its_training(monkeypatch, request_trainings) -> None:
    monkeypatch.setattr(families, "quoted_families", lambda: [KEY, OTHER])
    monkeypatch.setattr(families, "with_candles", lambda: [KEY, OTHER])
    monkeypatch.setattr(requirements, "has_new_candles", lambda key: True)

    def has_history(key: FamilyKey) -> bool:
        if key == KEY:
            raise ZeroDivisionError("odd candles")
        return True

    monkeypatch.setattr(requirements, "has_history", has_history)
    assert [run.family for run in getattr(worker, request_trainings)()] == [OTHER.slug]
    assert RowFailure.objects.get().name == KEY.slug


def test_what_waits_is_trained_although_no_first_model_can_be_requested(monkeypatch) -> None:
    started = []
    runs.request(family_key=KEY, trigger=runs.Trigger.MANUAL)
    monkeypatch.setattr(families, "quoted_families", lambda: 1 / 0)
    monkeypatch.setattr(worker, "_start", lambda: started.append(True))
    monkeypatch.setattr(worker, "_child", None)
    worker.supervise()
    monkeypatch.setattr(worker, "_child", None)
    assert started == [True]
    assert works() == {worker.WATCH}


@pytest.mark.parametrize("recipe", [[1], "text", {"label": 7}, {"label": {"kind": "never"}}], ids=str)
def test_versions_whose_recipe_can_not_be_read_keep_no_family_from_the_list(recipe) -> None:
    odd = [make_version(FamilyKey(size, simulated=True), with_model=False) for size in (5, 10)]
    make_version(OTHER, with_model=False)
    ModelVersion.objects.filter(pk__in=[version.pk for version in odd]).update(recipe=recipe)
    assert OTHER in families.all_families()
    predictions.sweep()
    shown = RowFailure.objects.filter(work=families.READ).values_list("key", flat=True)
    assert set(shown) == {str(version.pk) for version in odd}
