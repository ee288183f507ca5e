"""`./mem prove`: prints seven tests, keeps them as a row, and fails where one does not hold."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from algotrendy.locks import try_hold
from market.bars import Bars
from market.models import Candle
from market.services import ensure_instrument
from mlmodels import proof_runs
from mlmodels.models import ProofRun
from mlmodels.pipeline.feature_schemas import SCHEMAS
from mlmodels.pipeline.features import DESK_1, Floats
from mlmodels.proof import subject as subjects
from mlmodels.proof import suite, truncation
from mlmodels.proof.subject import Subject
from mlmodels.signals import proof_changed

FIVE = 300
TINY = suite.Trials(bars=8, shuffle=1, random_walk=1, same_recipe=1, power=1, canary=1)


def look_ahead(bars: Bars, out: Floats) -> None:
    """A small and plausible mistake: the mean of bars around, instead of before, a bar."""
    DESK_1.compute(bars, out)
    out[:, 4] = np.convolve(bars.close, np.ones(3) / 3, "same") / bars.close - 1


@pytest.fixture
def tiny_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command on a small simulated market with few trials."""
    monkeypatch.setattr(suite, "QUICK", TINY)
    monkeypatch.setattr(subjects, "SIMULATED_BARS", subjects.WINDOW_BARS)


def prove(*arguments: str) -> str:
    out = StringIO()
    call_command("prove", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_command_prints_seven_tests_and_keeps_them_as_a_row(tiny_desk: None) -> None:
    announced: list[int] = []

    def listen(proof_id: int, **kwargs: object) -> None:
        announced.append(proof_id)

    ProofRun.objects.create(subject="one whose process was killed", simulated=True)
    proof_changed.connect(listen)
    try:
        printed = json.loads(prove("--simulated", "--quick", "--json"))
    finally:
        proof_changed.disconnect(listen)
    run, dead = ProofRun.objects.all()
    assert [result["name"] for result in printed["results"]] == [name for name, *_ in suite.experiments(TINY)]
    assert (run.state, run.progress, run.simulated, run.results) == ("passed", 1.0, True, printed["results"])
    assert run.subject.startswith("a simulated market: BTCUSDT, ETHUSDT")
    assert (run.quick, run.is_evidence, printed["evidence"]) == (True, False, False)
    assert "Every test holds" not in run.words
    assert (dead.state, dead.error) == ("error", proof_runs.ABANDONED)
    assert set(announced) == {run.pk, dead.pk}


@pytest.mark.django_db
def test_a_test_that_does_not_hold_fails_the_command_and_shows_in_its_table(
    tiny_desk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = [(truncation.TRUNCATION, truncation.truncation, 4)]
    monkeypatch.setattr(suite, "experiments", lambda trials: only)
    monkeypatch.setitem(SCHEMAS, "desk-1", replace(DESK_1, compute=look_ahead))
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("prove", "--simulated", "--quick", stdout=out)
    assert ended.value.code == 1
    assert "✗ no" in out.getvalue()
    assert "differs: desk-1.sma_20_distance" in out.getvalue()
    assert "Quick look: a test does not hold." in out.getvalue()
    assert "Leave out --quick for evidence." in out.getvalue()
    assert ProofRun.objects.get().state == "failed"


@pytest.mark.django_db
def test_what_ends_a_proof_early_is_written_down(tiny_desk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: Subject, count: int, progress: truncation.ShareCallback) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "experiments", lambda trials: [("broken", broken, 1)])
    with pytest.raises(KeyboardInterrupt):
        prove("--simulated", "--quick")
    run = ProofRun.objects.get()
    assert (run.state, run.error) == ("error", "KeyboardInterrupt: ")
    assert run.finished_at


@pytest.mark.django_db
def test_without_enough_real_candles_the_simulated_market_is_proved() -> None:
    assert proof_runs.subject().simulated
    with pytest.raises(CommandError, match="is not a timeframe"):
        prove("--timeframe", "soon")


@pytest.mark.django_db(transaction=True)
def test_a_second_suite_waits_for_nobody_and_writes_nothing(tiny_desk: None) -> None:
    with ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(try_hold, proof_runs.LOCK).result()
        try:
            with pytest.raises(CommandError, match="the honesty suite runs already"):
                prove("--simulated", "--quick")
        finally:
            elsewhere.submit(lambda: connection.close()).result()  # that thread's own
    assert not ProofRun.objects.exists()


@pytest.mark.django_db
def test_real_candles_are_taken_where_there_are_enough_of_them() -> None:
    instrument = ensure_instrument("BTCUSDT")
    bars = subjects.simulated(bars=subjects.WINDOW_BARS + 1).series["BTCUSDT"]
    rows = [
        Candle(
            instrument=instrument, timeframe=FIVE, open_time=datetime.fromtimestamp(int(at), UTC), open=price,
            high=price, low=price, close=price, volume=1, kind="imported",
        )
        for at, price in zip(bars.open_time[1:], bars.close[1:].round(2), strict=True)
    ]  # fmt: skip
    Candle.objects.bulk_create(rows[1:])
    assert proof_runs.subject().simulated
    rows[0].save()
    subject = proof_runs.subject()
    assert not subject.simulated
    assert subject.text.startswith("real candles: BTCUSDT, 5m, 10,080 candles from 2025-01-01 to 2025-02-05")
    assert proof_runs.subject(timeframe=3_600).simulated
    assert proof_runs.subject(simulated=True).simulated
