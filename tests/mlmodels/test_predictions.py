"""Prediction: each closed bar is scored once, by what was known then, and meets its label later."""

from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from django.utils import timezone

from market.models import Candle, Quote
from market.signals import candle_closed
from mlmodels import tasks
from mlmodels.inference import outcomes, predictions
from mlmodels.inference.latest import latest_prediction
from mlmodels.models import Artefact, ModelVersion, Prediction, TrainingRun
from mlmodels.models.registry import MAX_CHAMPION_AGE
from mlmodels.pipeline import labels
from mlmodels.registry import artefacts
from mlmodels.signals import predicted
from tests.support.ml_models import (
    KEY,
    NEED,
    START,
    TIMEFRAME,
    bars_of,
    clock_after,
    make_version,
    set_clock,
    store,
)
from tests.support.threads import in_threads

pytestmark = pytest.mark.django_db
SYMBOLS = ["BNBUSDT", "BTCUSDT", "ETHUSDT", "XRPUSDT"]
BAR = timedelta(seconds=TIMEFRAME)


@pytest.fixture(autouse=True)
def _fresh_cache():
    artefacts.forget()
    yield
    artefacts.forget()


def desk(bars: int = NEED + 40, symbols=("BTCUSDT",)):
    series_by_symbol = bars_of(list(symbols), bars)
    return [store(symbol, series) for symbol, series in series_by_symbol.items()]


def scored(instrument=None):
    rows = Prediction.objects.order_by("instrument_id", "open_time")
    return list(rows.filter(instrument=instrument) if instrument else rows)


def score() -> list[int]:
    return predictions.score(TIMEFRAME, False)


def values_of(rows):
    return [(row.open_time, row.probability, row.side, row.features) for row in rows]


def let_pass(instruments, first: int, last: int) -> None:
    """Let bar after bar close, from `first` to `last` bars after START, each scored at its close."""
    for bars in range(first, last + 1):
        for instrument in instruments:
            set_clock(instrument, clock_after(bars))
        score()


def test_the_newest_bar_of_every_instrument_is_scored_in_one_batch(django_assert_max_num_queries) -> None:
    version = make_version()
    desk(symbols=SYMBOLS)
    score()
    Prediction.objects.all().delete()
    with django_assert_max_num_queries(9):
        assert len(score()) == 4
    rows = scored()
    assert {row.open_time for row in rows} == {clock_after(NEED + 39)}
    assert {(row.version, row.schema_hash, row.market) for row in rows} == {(version, version.schema_hash, "live")}


def test_scoring_again_changes_nothing_and_is_cheap(django_assert_max_num_queries) -> None:
    make_version()
    desk(symbols=SYMBOLS)
    score()
    before = values_of(scored())
    with django_assert_max_num_queries(3):
        assert score() == []
    assert values_of(scored()) == before


def test_what_is_no_candidate_has_probability_zero_and_no_side() -> None:
    make_version()
    instruments = desk(NEED + 120)
    let_pass(instruments, NEED + 20, NEED + 20)
    let_pass(instruments, NEED + 120, NEED + 120)
    rows = scored()
    assert len(rows) == 101
    assert {row.side for row in rows} == {"peak", "trough", "none"}
    assert all((row.probability == 0) == (row.side == "none") for row in rows)


def test_the_side_is_that_of_the_label() -> None:
    make_version()
    series = bars_of(["BTCUSDT"], NEED + 120)["BTCUSDT"]
    instrument = store("BTCUSDT", series)
    let_pass([instrument], NEED + 20, NEED + 20)
    let_pass([instrument], NEED + 120, NEED + 120)
    sides = {1: "peak", -1: "trough", 0: "none"}
    wanted = [sides[int(side)] for side in labels.label(series, TIMEFRAME, KEY.label).side]
    assert [row.side for row in scored()] == wanted[NEED + 19 :]


def test_bars_missed_by_an_absent_worker_are_scored_as_if_it_had_been_there() -> None:
    make_version()
    (instrument,) = desk(NEED + 25)
    let_pass([instrument], NEED + 10, NEED + 25)
    live = values_of(scored())
    Prediction.objects.filter(open_time__gt=clock_after(NEED + 10)).delete()
    score()
    assert values_of(scored()) == live
    assert len(live) == 16


def test_a_prediction_at_t_is_the_same_whether_later_candles_are_there_or_not() -> None:
    make_version()
    (instrument,) = desk(NEED + 30)
    set_clock(instrument, clock_after(NEED + 20))
    score()
    with_later = values_of(scored())
    Prediction.objects.all().delete()
    Candle.objects.filter(open_time__gte=clock_after(NEED + 20)).delete()
    score()
    assert values_of(scored()) == with_later
    assert with_later[0][0] == clock_after(NEED + 19)


def test_no_candle_later_than_the_markets_own_time_is_read() -> None:
    make_version()
    (instrument,) = desk(NEED + 30)
    set_clock(instrument, clock_after(NEED + 20) + BAR / 2)
    score()
    assert [row.open_time for row in scored()] == [clock_after(NEED + 19)]


def test_at_most_200_missed_bars_are_made_up_for() -> None:
    make_version()
    (instrument,) = desk(NEED + 300)
    let_pass([instrument], NEED + 20, NEED + 20)
    let_pass([instrument], NEED + 300, NEED + 300)
    assert len(scored()) == 1 + predictions.MOST_MISSED


def test_a_bar_whose_features_reach_over_a_gap_is_not_scored() -> None:
    make_version()
    desk(NEED + 40)
    Candle.objects.filter(open_time=clock_after(100)).delete()
    assert score() == []


def test_a_revised_candle_never_rewrites_a_prediction() -> None:
    make_version()
    desk(NEED + 40)
    score()
    before = values_of(scored())
    Candle.objects.filter(open_time=clock_after(NEED + 39)).update(revision=1, close=1, low=1)
    score()
    assert values_of(scored()) == before


@pytest.mark.parametrize("market", ["simulated", "replay"])
def test_a_family_speaks_about_its_own_kind_of_market_only(market) -> None:
    make_version()
    store("BTCUSDT", bars_of(["BTCUSDT"], NEED + 5)["BTCUSDT"], kind=market)
    assert len(score()) == (market == "replay")
    assert predictions.score(TIMEFRAME, True) == []


def test_new_predictions_are_announced_after_the_commit(django_capture_on_commit_callbacks) -> None:
    version = make_version()
    instruments = desk(symbols=SYMBOLS[:2])
    received = []

    def receive(**news):
        received.append((news["family"], news["open_time"], news["instrument_ids"]))

    predicted.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            score()
            assert not received
            score()
    finally:
        predicted.disconnect(receive)
    assert received == [(version.family, clock_after(NEED + 39), [one.pk for one in instruments])]


def test_nobody_speaks_without_a_champion_or_after_it_expired() -> None:
    desk()
    make_version(state="retired")
    assert score() == []
    make_version(promoted_at=timezone.now() - MAX_CHAMPION_AGE)
    assert score() == []


def tamper(version: ModelVersion) -> None:
    data = bytearray(Artefact.objects.get(version=version).data)
    data[len(data) // 2] ^= 1
    Artefact.objects.filter(version=version).update(data=bytes(data))
    artefacts.forget()


def test_a_champion_that_cant_be_opened_is_silent_says_why_and_has_a_new_one_trained_once() -> None:
    version = make_version()
    desk()
    tamper(version)
    assert score() == score() == []
    assert [run.trigger for run in TrainingRun.objects.all()] == ["artefact"]
    TrainingRun.objects.update(state="failed", error="no", finished_at=timezone.now())
    score()
    version.refresh_from_db()
    assert "seal" in version.load_error
    assert (len(version.notes), TrainingRun.objects.count()) == (1, 1)


def test_a_champion_that_can_be_opened_again_speaks_again() -> None:
    version = make_version(notes=["Kept.", "It can't speak: its key was away"])
    desk()
    assert len(score()) == 1
    version.refresh_from_db()
    assert version.notes == ["Kept."]


def test_features_defined_otherwise_than_in_training_are_never_given_to_a_model() -> None:
    version = make_version()
    ModelVersion.objects.filter(pk=version.pk).update(schema_hash="0" * 64)
    desk()
    assert score() == []
    version.refresh_from_db()
    assert "differently" in version.load_error


def test_each_prediction_meets_its_label_a_window_later() -> None:
    make_version()
    series = bars_of(["BTCUSDT"], NEED + 45)["BTCUSDT"]
    instrument = store("BTCUSDT", series)
    let_pass([instrument], NEED + 20, NEED + 45)
    wanted = labels.label(series, TIMEFRAME, KEY.label).reversal[NEED + 19 :]
    rows = scored()
    assert [row.label for row in rows[:-5]] == [bool(value) for value in wanted[:-5]]
    assert any(row.label for row in rows)
    assert [row.label for row in rows[-5:]] == [None] * 5
    assert all(row.labelled_at for row in rows[:-5])


def test_a_label_is_not_told_before_the_market_got_there() -> None:
    make_version()
    (instrument,) = desk(NEED + 60)
    let_pass([instrument], NEED + 20, NEED + 20)
    set_clock(instrument, clock_after(NEED + 24))
    outcomes.sweep(KEY)
    assert scored()[0].label is None
    set_clock(instrument, clock_after(NEED + 27))
    outcomes.sweep(KEY)
    assert scored()[0].label is not None


def test_the_sweep_labels_also_when_nobody_speaks_any_more() -> None:
    version = make_version()
    (instrument,) = desk(NEED + 60)
    let_pass([instrument], NEED + 20, NEED + 20)
    ModelVersion.objects.filter(pk=version.pk).update(state="retired")
    set_clock(instrument, clock_after(NEED + 60))
    predictions.sweep()
    assert scored()[0].label is not None


def test_a_label_whose_candles_are_missing_for_good_is_void() -> None:
    make_version()
    (instrument,) = desk(NEED + 60)
    let_pass([instrument], NEED + 20, NEED + 20)
    Candle.objects.filter(open_time=clock_after(NEED + 22)).delete()
    set_clock(instrument, clock_after(NEED + 20 + 6 + outcomes.GRACE_BARS - 1))
    outcomes.sweep(KEY)
    assert not scored()[0].void
    set_clock(instrument, clock_after(NEED + 20 + 6 + outcomes.GRACE_BARS))
    outcomes.sweep(KEY)
    row = scored()[0]
    assert (row.void, row.label) == (True, None)


def test_a_late_candle_still_lets_the_label_be_known() -> None:
    make_version()
    (instrument,) = desk(NEED + 60)
    let_pass([instrument], NEED + 20, NEED + 20)
    late = Candle.objects.get(open_time=clock_after(NEED + 22))
    late.delete()
    set_clock(instrument, clock_after(NEED + 30))
    outcomes.sweep(KEY)
    assert scored()[0].label is None
    late.pk = None
    late.save()
    outcomes.sweep(KEY)
    assert scored()[0].label is not None


def test_what_waited_when_its_instrument_moved_to_another_market_is_void() -> None:
    make_version()
    desk(NEED + 60)
    score()
    Quote.objects.update(kind="simulated", timeframe=5)
    outcomes.sweep(KEY)
    assert scored()[0].void


def test_the_agent_reads_what_a_worker_stored_with_one_query(django_assert_num_queries) -> None:
    version = make_version()
    (instrument,) = desk()
    score()
    with django_assert_num_queries(1):
        latest = latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(NEED + 40) + BAR / 3)
    row = scored()[0]
    assert (latest.version, latest.open_time) == (version.name, clock_after(NEED + 39))
    assert (latest.probability, latest.side, latest.inactive_reason) == (row.probability, row.side, "")


def test_the_agent_computes_what_is_not_there_and_gets_what_a_worker_would_say() -> None:
    make_version()
    (instrument,) = desk(NEED + 60)
    let_pass([instrument], NEED + 20, NEED + 30)
    live = values_of(scored())
    Prediction.objects.all().delete()
    for bars in range(NEED + 20, NEED + 31):
        latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(bars))
    assert values_of(scored()) == live


def test_without_a_champion_the_agent_asks_one_query(django_assert_num_queries) -> None:
    (instrument,) = desk(5)
    with django_assert_num_queries(1):
        latest = latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(5))
    assert latest.inactive_reason
    assert not latest.version


def test_a_bad_artefact_never_reaches_the_agent_as_an_error() -> None:
    version = make_version()
    (instrument,) = desk()
    tamper(version)
    assert (
        "could not be asked"
        in latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(NEED + 40)).inactive_reason
    )
    assert ModelVersion.objects.count() == 1, "the transaction is still usable"
    score()
    assert (
        "can't be opened"
        in latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(NEED + 40)).inactive_reason
    )


@pytest.mark.parametrize("bars", [10, NEED])
def test_a_young_market_makes_the_model_silent(bars) -> None:
    make_version()
    (instrument,) = desk(bars)
    assert "too few" in latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(bars)).inactive_reason


def test_old_candles_are_not_taken_for_fresh_ones() -> None:
    make_version()
    (instrument,) = desk()
    assert latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(NEED + 41)).version
    assert latest_prediction(instrument.pk, TIMEFRAME, "live", clock_after(NEED + 43)).inactive_reason


def test_only_old_predictions_of_made_up_markets_are_deleted() -> None:
    version, simulated = make_version(), make_version(KEY.__class__(TIMEFRAME, True))
    (instrument,) = desk(5)
    old, new = START, timezone.now()
    rows = [(version, "live", old), (simulated, "simulated", old), (simulated, "simulated", new)]
    for owner, market, at in rows:
        Prediction.objects.create(
            instrument=instrument, timeframe=TIMEFRAME, open_time=at, market=market, version=owner,
            schema_hash=owner.schema_hash, probability=0.2, side="peak", features=[1.0],
        )  # fmt: skip
    assert predictions.forget_simulated() == 1
    assert sorted(Prediction.objects.values_list("market", flat=True)) == ["live", "simulated"]


def test_the_tasks_predict_sweep_and_forget() -> None:
    make_version()
    (instrument,) = desk(NEED + 40)
    set_clock(instrument, clock_after(NEED + 30))
    assert (tasks.predict(60), tasks.predict(TIMEFRAME), tasks.predict(TIMEFRAME)) == (0, 1, 0)
    set_clock(instrument, clock_after(NEED + 40))
    assert tasks.sweep_predictions() == 10
    assert (tasks.forget_predictions(), tasks.watch_skill()) == (0, 0)


def test_an_instrument_begins_with_its_newest_bar_whoever_asked_first() -> None:
    make_version()
    first, _ = instruments = desk(NEED + 40, symbols=SYMBOLS[:2])
    assert latest_prediction(first.pk, TIMEFRAME, "live", clock_after(NEED + 40)).version
    assert len(score()) == 1
    assert {(row.instrument, row.open_time) for row in scored()} == {
        (one, clock_after(NEED + 39)) for one in instruments
    }


@pytest.mark.django_db(transaction=True)
def test_workers_and_the_agent_at_once_store_each_prediction_once() -> None:
    make_version()
    instruments = desk(NEED + 5, symbols=SYMBOLS[:3])
    jobs = [
        score,
        score,
        *(partial(latest_prediction, one.pk, TIMEFRAME, "live", clock_after(NEED + 5)) for one in instruments),
    ]
    answers = in_threads(*jobs)
    assert len(answers[0]) + len(answers[1]) <= 3
    assert all(answer.version for answer in answers[2:])
    assert Prediction.objects.count() == 3


def test_a_tick_of_many_instruments_nudges_once(monkeypatch) -> None:
    from mlmodels import receivers

    sent = []
    monkeypatch.setattr(receivers, "nudge", lambda *task: sent.append(task))
    monkeypatch.setattr(receivers, "_nudged_at", {})
    for instrument_id in range(4):
        candle_closed.send(sender=Candle, instrument_id=instrument_id, timeframe=7, open_time=START)
    assert sent == [("mlmodels.predict", 7)]


def test_many_instruments_are_read_at_once_and_kept_apart() -> None:
    from market.series import load_spans

    series_by_symbol = bars_of(["BTCUSDT", "ETHUSDT"], 30)
    ids = {symbol: store(symbol, bars).pk for symbol, bars in series_by_symbol.items()}
    spans = {
        ids["ETHUSDT"]: (clock_after(3), clock_after(9)),
        ids["BTCUSDT"]: (clock_after(5), clock_after(5)),
        0: (START, START),
    }
    loaded = load_spans(spans, TIMEFRAME)
    assert {one: len(bars) for one, bars in loaded.items()} == {ids["ETHUSDT"]: 7, ids["BTCUSDT"]: 1}
    assert np.allclose(loaded[ids["ETHUSDT"]].close, series_by_symbol["ETHUSDT"].close[3:10], rtol=1e-9)
    assert load_spans({}, TIMEFRAME) == {}
