"""Series of candles, and what is never called removed that nobody removed."""

from datetime import timedelta

import pytest
import time_machine

from market import retention, tasks
from market.bars import parse_timeframe
from market.models import Candle, Feed, Instrument, Quote
from market.selectors import NEVER, market_now, resolve_symbol
from market.series import load_spans
from tests.support.pages import candles, market

pytestmark = pytest.mark.django_db(transaction=True)
BAR = timedelta(seconds=5)


@pytest.fixture
def btc() -> Instrument:
    return market(bars=100)


def old_with_a_hole(instrument: Instrument) -> Candle:
    """Store candles of a month ago and return one from their middle, which is gone."""
    candles(instrument, Quote.objects.get(instrument=instrument).market_time - timedelta(days=30), 1000)
    hole = Candle.objects.order_by("open_time")[500]
    Candle.objects.filter(open_time__gte=hole.open_time - BAR, open_time__lte=hole.open_time + BAR).delete()
    return hole


@pytest.mark.parametrize("kind", ["live", "imported"])
def test_a_hole_in_a_real_market_was_not_made_by_the_night(btc: Instrument, kind: str) -> None:
    hole = old_with_a_hole(btc)
    Candle.objects.update(kind=kind)
    assert tasks.remove_old() == 0
    assert not retention.removed_at(btc.pk, hole.timeframe, hole.open_time)


def test_a_hole_is_the_nights_only_where_it_has_been(btc: Instrument) -> None:
    hole = old_with_a_hole(btc)
    assert not retention.removed_at(btc.pk, hole.timeframe, hole.open_time)
    assert tasks.remove_old() > 0
    assert retention.removed_at(btc.pk, hole.timeframe, hole.open_time)
    newest = Candle.objects.order_by("-open_time")[0]
    Candle.objects.filter(pk=newest.pk).delete()
    assert not retention.removed_at(btc.pk, newest.timeframe, newest.open_time + 2 * BAR)


def test_a_market_has_come_to_now_and_a_replay_to_its_own_clock(btc: Instrument) -> None:
    known = Quote.objects.get()
    with time_machine.travel(known.market_time + BAR, tick=False):
        assert market_now(resolve()) == known.market_time + BAR
        Quote.objects.update(kind="replay")
        assert market_now(resolve()) == known.market_time
        Quote.objects.all().delete()
        assert market_now(resolve()) == known.market_time + BAR
        Feed.objects.update(driver="replay", clock=known.market_time - BAR)
        assert market_now(resolve()) == known.market_time - BAR
        Feed.objects.update(clock=None)
        assert market_now(resolve()) == NEVER


def resolve() -> Instrument:
    instrument = resolve_symbol("BTCUSDT")
    assert instrument is not None
    return instrument


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 300), ("5m", 300), ("30S", 30), ("1h", 3600), ("1D", 86_400), ("1W", 604_800)]
)
def test_a_timeframe_is_read_as_charts_write_it(text: str, seconds: int) -> None:
    assert parse_timeframe(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "m", "1M", "5x", "-5m", "1.5h"])
def test_what_is_no_timeframe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a timeframe"):
        parse_timeframe(text)


def test_no_spans_are_no_candles() -> None:
    assert load_spans({}, 300) == {}
