"""Models and predictions by API: who may read them, and what an answer never holds."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mlmodels.models import Prediction
from mlmodels.registry import versions
from tests.support.ml_models import KEY, START, TIMEFRAME, bars_of, make_version, store
from webhooks import services
from webhooks.models import ApiKey

pytestmark = pytest.mark.django_db
PATHS = ["models", "models/20260101_000001", "predictions"]


@pytest.fixture
def reader() -> dict[str, str]:
    _, secret = services.create_key(name="reader", scope="read")
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def get(client: Client, reader):
    def ask(path: str):
        answer = client.get(f"/api/v1/{path}", headers=reader)
        assert answer.status_code == 200, answer.content
        return answer.json()

    return ask


def predictions(version, symbol: str, count: int) -> None:
    instrument = store(symbol, bars_of([symbol], 2)[symbol])
    Prediction.objects.bulk_create(
        Prediction(
            instrument=instrument, timeframe=TIMEFRAME, open_time=START + timedelta(hours=number), market="live",
            version=version, schema_hash=version.schema_hash, probability=0.25, side="trough", features=[1.0, 2.0],
        )
        for number in range(count)
    )  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_without_a_key_everything_is_refused(client: Client, path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 401
    assert client.get(f"/api/v1/{path}", headers={"authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_revoked_key_is_refused(client: Client, reader, path: str) -> None:
    services.revoke_key(key=ApiKey.objects.get())
    assert client.get(f"/api/v1/{path}", headers=reader).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_nothing_can_be_changed_even_with_an_admin_key(client: Client, path: str) -> None:
    _, secret = services.create_key(name="admin", scope="admin")
    assert client.post(f"/api/v1/{path}", headers={"authorization": f"Bearer {secret}"}).status_code == 405


def test_models_come_newest_first_and_are_filtered_by_family_and_state(get) -> None:
    champion, rejected = make_version(), make_version(state="rejected", promoted_at=None)
    other = make_version(KEY.__class__(5, True))
    assert [row["name"] for row in get("models")] == [other.name, rejected.name, champion.name]
    assert [row["name"] for row in get(f"models?family={champion.family}&state=champion")] == [champion.name]
    assert [row["name"] for row in get(f"models?before={rejected.pk}")] == [champion.name]


def test_a_model_answers_with_its_report_its_verdict_and_its_promotions(get) -> None:
    version = make_version(state="candidate", promoted_at=None, verdict={"outcome": "keep", "text": "no better"})
    person = User.objects.create_user("ada")
    versions.promote(version=version, by=person, reason="I know better")
    answer = get(f"models/{version.name}")
    assert answer["report"]["data"]["candidate_base_rate"] == 0.3
    assert (answer["outcome"], answer["verdict"]["text"]) == ("keep", "no better")
    assert [(row["kind"], row["by"], row["reason"]) for row in answer["promotions"]] == [
        ("manual", "ada", "I know better")
    ]
    assert (answer["state"], answer["market"], answer["feature_schema"]) == ("champion", "real", "desk-1")


def test_only_a_champion_expires(get) -> None:
    make_version()
    make_version(state="retired")
    assert [row["expires_at"] is None for row in get("models")] == [True, False]


def test_a_models_bytes_and_their_seal_are_never_given_out(client: Client, reader) -> None:
    version = make_version()
    for path in ("models", f"models/{version.name}", "predictions"):
        text = client.get(f"/api/v1/{path}", headers=reader).content.decode()
        assert "artefact" not in text
        assert "digest" not in text
        assert bytes(version.artefact.digest).hex() not in text


def test_predictions_are_filtered_by_symbol_version_and_timeframe(get) -> None:
    one, two = make_version(), make_version(state="retired")
    predictions(one, "BTCUSDT", 2)
    predictions(two, "ETHUSDT", 1)
    assert {row["symbol"] for row in get("predictions?symbol=btcusdt")} == {"BTCUSDT"}
    assert [row["version"] for row in get(f"predictions?version={two.name}")] == [two.name]
    assert len(get(f"predictions?timeframe={TIMEFRAME}")) == 3
    assert get("predictions?timeframe=60") == []
    assert get("predictions")[0]["probability"] == 0.25


def test_pages_of_predictions_follow_one_another_by_id(get) -> None:
    predictions(make_version(), "BTCUSDT", 5)
    first = get("predictions?limit=3")
    rest = get(f"predictions?limit=3&before={first[-1]['id']}")
    ids = [row["id"] for row in first + rest]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5


@pytest.mark.parametrize("path", ["models", "predictions"])
def test_lists_are_read_in_a_constant_number_of_queries(get, path, django_assert_max_num_queries) -> None:
    version = make_version()
    make_version(state="retired")
    predictions(version, "BTCUSDT", 5)
    get(path)
    with django_assert_max_num_queries(4):
        get(path)


def test_a_model_that_does_not_exist_is_a_404_with_a_sentence(client: Client, reader) -> None:
    answer = client.get("/api/v1/models/20200101_000000", headers=reader)
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such model.")


def test_a_label_is_told_once_it_is_known(get) -> None:
    predictions(make_version(), "BTCUSDT", 1)
    assert get("predictions")[0]["label"] is None
    Prediction.objects.update(label=True, labelled_at=timezone.now())
    assert get("predictions")[0]["label"] is True
