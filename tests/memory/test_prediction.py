"""What a model said becomes evidence of a decision, and nothing more than that yet."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.models import Connection
from memory import prediction_evidence
from memory.services import decide
from memory.trade_signal import TradeSignal
from mlmodels.inference import predictions
from mlmodels.inference.values import LatestPrediction
from mlmodels.models import Artefact, ModelVersion, Prediction
from mlmodels.registry import artefacts
from tests.support.ml_models import NEED, TIMEFRAME, bars_of, clock_after, make_version, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def signal() -> TradeSignal:
    artefacts.forget()
    bitcoin = store("BTCUSDT", bars_of(["BTCUSDT"], NEED + 40)["BTCUSDT"])
    return TradeSignal(
        key="alert-1", source="ema", policy="follow", connection=Connection.objects.create(name="paper"),
        instrument=bitcoin, intent="long", price=None, quantity=None, sizing="risk", risk_pct=Decimal(1),
        notional=None, allow_short=True, stale=False, stale_reason="", good_until=None, received_at=timezone.now(),
    )  # fmt: skip


def predicting(side: str, probability: float) -> ModelVersion:
    """Make a champion that a worker has asked about the newest bar, and let its answer have been this."""
    version = make_version()
    predictions.score(TIMEFRAME, False)
    Prediction.objects.update(side=side, probability=probability)
    return version


@pytest.mark.parametrize(
    ("side", "intent", "stance"),
    [
        ("peak", "long", "opposes"),
        ("peak", "short", "supports"),
        ("trough", "long", "supports"),
        ("trough", "short", "opposes"),
        ("none", "long", "silent"),
        ("peak", "flat", "silent"),
    ],
)
def test_a_predicted_peak_opposes_long_and_a_trough_supports_it(signal, side, intent, stance) -> None:
    version = predicting(side, 0.0 if side == "none" else 0.37)
    prediction = decide(replace(signal, intent=intent)).evidence["prediction"]
    assert prediction["stance"] == stance
    assert (prediction["version"], prediction["family"]) == (version.name, version.family)
    assert (prediction["side"], prediction["candidate"]) == (side, side != "none")
    assert prediction["open_time"] == clock_after(NEED + 39).isoformat()


def test_the_evidence_says_in_words_what_was_predicted(signal) -> None:
    predicting("trough", 0.37)
    prediction = decide(signal).evidence["prediction"]
    assert (prediction["text"], prediction["probability"]) == ("a trough with 37%: supports long", 0.37)


def test_a_prediction_has_no_weight_in_the_confidence_or_the_size(signal) -> None:
    without = decide(signal)
    predicting("peak", 0.99)
    against = decide(replace(signal, key="alert-2", source="other"))
    assert against.evidence["prediction"]["stance"] == "opposes"
    assert (against.confidence, against.action, against.stop) == (without.confidence, without.action, without.stop)


def test_without_a_model_the_decision_says_so(signal) -> None:
    prediction = decide(signal).evidence["prediction"]
    assert (prediction["version"], prediction["probability"], prediction["stance"]) == ("", None, "silent")
    assert prediction["text"] == "no model speaks for these candles yet"


def test_a_prediction_that_is_there_costs_one_query(signal) -> None:
    predicting("peak", 0.4)
    decide(replace(signal, key="alert-0"))
    with CaptureQueriesContext(connection) as queries:
        decide(signal)
    assert len([query for query in queries.captured_queries if "mlmodels" in query["sql"]]) == 1


def test_the_agent_computes_what_no_worker_has_yet(signal) -> None:
    version = make_version()
    assert decide(signal).evidence["prediction"]["version"] == version.name
    assert Prediction.objects.get().open_time == clock_after(NEED + 39)


def test_a_forged_model_keeps_no_alert_from_being_decided(signal) -> None:
    version = make_version()
    Artefact.objects.filter(version=version).update(data=b"cos\nsystem\n(S'true'\ntR.")
    decision = decide(signal)
    assert decision.action == "BUY"
    assert "could not be asked" in decision.evidence["prediction"]["text"]
    assert decision.evidence["prediction"]["stance"] == "silent"


def test_without_a_price_nothing_is_asked(signal) -> None:
    from market.models import Quote

    Quote.objects.all().delete()
    assert "prediction" not in decide(signal).evidence


def test_an_expired_model_says_that_it_is_too_old() -> None:
    prediction = prediction_evidence.evidence(
        LatestPrediction("reversal-5m-real", inactive_reason="the model x is too old to speak"), "long"
    )
    assert (prediction["text"], prediction["version"]) == ("the model x is too old to speak", "")
