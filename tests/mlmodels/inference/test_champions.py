"""What is written about a champion that can't be loaded: once, whole, and over nobody else's words."""

from collections.abc import Iterator

import pytest
from django.db import transaction
from django.utils import timezone

from mlmodels import retention
from mlmodels.inference import champions
from mlmodels.models import Artefact, ModelVersion, Prediction, TrainingRun
from mlmodels.models.registry import LOAD_ERROR
from mlmodels.registry import artefacts
from mlmodels.signals import registry_changed
from mlmodels.training import runs
from tests.support.locks import meeting
from tests.support.ml_models import KEY, START, bars_of, make_version, store

pytestmark = pytest.mark.django_db(transaction=True)
OTHERS = "Predictions deleted: somebody else's words."


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    artefacts.forget()
    yield
    artefacts.forget()


@pytest.fixture
def champion() -> ModelVersion:
    return make_version()


@pytest.fixture
def announced() -> Iterator[list[str]]:
    """The families of which the pages hear that they changed."""
    seen: list[str] = []

    def receive(family: str, **_: object) -> None:
        seen.append(family)

    registry_changed.connect(receive)
    yield seen
    registry_changed.disconnect(receive)


def spoil(version: ModelVersion) -> None:
    Artefact.objects.filter(version=version).update(digest=b"0" * 32)
    artefacts.forget()


def notes_of(version: ModelVersion) -> list[str]:
    return list(ModelVersion.objects.get(pk=version.pk).notes)


def put_note(version: ModelVersion) -> None:
    """Write something else about a version, in a transaction that is not over yet."""
    ModelVersion.objects.filter(pk=version.pk).update(notes=[*version.notes, OTHERS])


def test_a_champion_that_is_not_to_speak_is_not_even_opened(champion: ModelVersion) -> None:
    spoil(champion)
    ModelVersion.objects.update(state="retired")
    assert champions.champion_scorer(KEY) is None
    assert (notes_of(champion), TrainingRun.objects.count()) == ([], 0)


def test_a_champion_that_is_too_old_is_not_opened_either(champion: ModelVersion) -> None:
    spoil(champion)
    ModelVersion.objects.update(promoted_at=START.replace(year=2020))
    assert champions.champion_scorer(KEY) is None
    assert (notes_of(champion), TrainingRun.objects.count()) == ([], 0)


def test_a_champion_of_features_that_were_defined_otherwise_is_silent_and_says_so(champion: ModelVersion) -> None:
    ModelVersion.objects.update(schema_hash="0" * 64)
    assert champions.champion_scorer(KEY) is None
    assert "differently" in notes_of(champion)[0]


def test_a_note_is_written_once_however_often_nobody_can_load_it(champion: ModelVersion) -> None:
    spoil(champion)
    champions.champion_scorer(KEY)
    TrainingRun.objects.update(state="failed", error="no", finished_at=timezone.now())
    champions.champion_scorer(KEY)
    assert (len(notes_of(champion)), TrainingRun.objects.count()) == (1, 1)


def test_a_kill_before_the_training_is_requested_leaves_no_note_either(
    champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(champion)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "request", kill)
        with pytest.raises(Killed):
            champions.champion_scorer(KEY)
    assert notes_of(champion) == []
    champions.champion_scorer(KEY)
    assert (len(notes_of(champion)), TrainingRun.objects.count()) == (1, 1)


def test_a_champion_is_silent_and_its_page_hears_it_also_where_a_training_waits_already(
    champion: ModelVersion, announced: list[str]
) -> None:
    spoil(champion)
    waiting = runs.request(family_key=KEY, trigger=runs.Trigger.MANUAL)
    assert champions.champion_scorer(KEY) is None
    assert notes_of(champion)[0].startswith(LOAD_ERROR)
    assert (list(TrainingRun.objects.all()), announced) == ([waiting], [champion.family])


def test_two_workers_that_can_not_load_it_say_so_once(champion: ModelVersion, announced: list[str]) -> None:
    spoil(champion)
    meeting(lambda: champions.champion_scorer(KEY), lambda: champions.champion_scorer(KEY))
    assert (len(notes_of(champion)), TrainingRun.objects.count(), announced) == (1, 1, [champion.family])


def test_a_note_that_is_being_written_is_kept_beside_that_of_a_champion_that_can_not_be_loaded(
    champion: ModelVersion,
) -> None:
    spoil(champion)
    meeting(lambda: put_note(champion), lambda: champions.champion_scorer(KEY))
    assert [note == OTHERS for note in notes_of(champion)] == [True, False]


def test_a_note_that_is_being_written_is_kept_where_a_champion_speaks_again(
    champion: ModelVersion, announced: list[str]
) -> None:
    champion.notes = [LOAD_ERROR + "its key was away"]
    champion.save()
    meeting(lambda: put_note(champion), lambda: champions.champion_scorer(KEY))
    assert (notes_of(champion), announced) == ([OTHERS], [champion.family])


def test_a_note_that_is_being_written_is_kept_beside_that_of_deleted_predictions() -> None:
    former = make_version(state="retired", with_model=False)
    instrument = store("BTCUSDT", bars_of(["BTCUSDT"], 1)["BTCUSDT"])
    Prediction.objects.create(
        instrument=instrument, timeframe=300, open_time=START.replace(year=2020), market="live", version=former,
        schema_hash="x", probability=0, side="none", features=[],
    )  # fmt: skip
    night = transaction.atomic(lambda: retention.delete_predictions({}))
    meeting(lambda: put_note(former), night)
    assert [note == OTHERS for note in notes_of(former)] == [True, False]
