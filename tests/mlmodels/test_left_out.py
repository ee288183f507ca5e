"""Candles that a training leaves out are named, in its log and where it fails."""

from datetime import timedelta
from decimal import Decimal

import pytest

from market.models import MarketKind
from market.services import NewCandle, ensure_instrument, store_candles
from mlmodels.training import job, runs
from tests.support.training import REAL, START, small_recipe

pytestmark = pytest.mark.django_db


def store(symbol: str, days: int, age_days: int) -> None:
    """Store flat candles of `days` that end `age_days` before those of age 0."""
    instrument = ensure_instrument(symbol)
    end = START - timedelta(days=age_days)
    candles = [
        NewCandle(instrument.pk, end - timedelta(seconds=300 * number), *(Decimal(100),) * 4, Decimal(1))
        for number in range(days * 288)
    ]
    store_candles(candles=candles, timeframe=300, kind=MarketKind.IMPORTED)


@pytest.mark.django_db(transaction=True)
def test_a_training_says_which_instrument_was_too_old_for_its_window() -> None:
    store("BTCUSDT", days=3, age_days=400)
    store("XRPUSDT", days=2, age_days=0)
    words = (
        "3.0 days of BTCUSDT were left out: more than 365 days older than the newest candle, "
        f"{START:%d %b %Y} of XRPUSDT"
    )
    assert job.left_out(REAL, small_recipe()) == [words]
    with runs.training_lock():
        run = job.execute(runs.begin(family_key=REAL, trigger=runs.Trigger.MANUAL, recipe=small_recipe()))
    assert run.state == "failed"
    assert f". {words}. The champion was not touched." in run.error
    assert words in [line["text"] for line in run.log]


def test_nothing_is_said_where_nothing_was_left_out() -> None:
    assert job.left_out(REAL, small_recipe()) == []
    store("BTCUSDT", days=1, age_days=100)
    store("XRPUSDT", days=1, age_days=0)
    assert job.left_out(REAL, small_recipe()) == []
