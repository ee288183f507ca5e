"""Reads and writes of the market that the rest of the desk relies on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from market import selectors, services
from market.models import Candle, Feed, Instrument, MarketKind, Quote
from market.services import FeedBusy, MixedMarket, NewCandle
from market.signals import feed_changed, feed_switching
from market.symbols import normalise, split
from tests.support.market import set_quote

pytestmark = pytest.mark.django_db
START = datetime(2025, 3, 1, tzinfo=UTC)


def candle(instrument: Instrument, number: int, close: str = "101", timeframe: int = 300) -> NewCandle:
    opened = START + timedelta(seconds=number * timeframe)
    prices = [Decimal(text) for text in ("100", "120", "90", close, "3.5")]
    return NewCandle(instrument.id, opened, *prices)


@pytest.fixture
def btc() -> Instrument:
    return services.ensure_instrument("BTCUSDT")


def store(instrument: Instrument, count: int, kind: MarketKind = MarketKind.IMPORTED) -> None:
    services.store_candles(
        candles=[candle(instrument, number, str(100 + number)) for number in range(count)],
        timeframe=300,
        kind=kind,
    )


@pytest.mark.parametrize(
    "text",
    ["BINANCE:BTCUSDT", "btcusdt", "BTC/USDT", "BTC/USDT:USDT", "BTCUSDT.P", "BTCUSDTPERP", "BYBIT:BTCUSDT.P",
     "BTC-USDT", "btc_usdt", " BTCUSDT ", "BTC-USDT-SWAP"],
)  # fmt: skip
def test_every_spelling_of_a_symbol_finds_its_instrument(btc: Instrument, text: str) -> None:
    assert selectors.resolve_symbol(text) == btc


@pytest.mark.parametrize("text", ["", "BTCUSD", "DOGE", "{{ticker}}", "BTCUSDT\x00", ":", "x" * 500])
def test_what_is_no_symbol_of_ours_finds_nothing(btc: Instrument, text: str) -> None:
    assert selectors.resolve_symbol(text) is None


def test_a_literal_name_wins_over_its_stripped_form(btc: Instrument) -> None:
    perpetual = Instrument.objects.create(symbol="BTCUSDT.P")
    assert selectors.resolve_symbol("BINANCE:BTCUSDT.P") == perpetual


def test_symbols_split_into_base_and_quote() -> None:
    assert split("BTCUSDT") == ("BTC", "USDT")
    assert split("ETHBTC") == ("ETH", "BTC")
    assert split("USDT") == ("", "")
    with pytest.raises(ValueError, match="not a symbol"):
        normalise("<script>")


def test_an_instrument_is_made_once_with_steps_of_its_size() -> None:
    first, second = services.ensure_instrument("xrp/usdt"), services.ensure_instrument("BINANCE:XRPUSDT")
    assert first == second
    assert (first.base, first.quote, first.tick_size) == ("XRP", "USDT", Decimal("0.0001"))


def test_a_candle_is_known_from_its_close_on(btc: Instrument) -> None:
    store(btc, 10)
    close_of_fifth = START + timedelta(seconds=5 * 300)
    bars = selectors.closed_candles(btc.id, 300, until=close_of_fifth, count=3)
    assert bars.close.tolist() == [102.0, 103.0, 104.0]
    before = selectors.closed_candles(btc.id, 300, until=close_of_fifth - timedelta(microseconds=1), count=3)
    assert before.close.tolist() == [101.0, 102.0, 103.0]
    assert before.open_time.tolist()[-1] == int(START.timestamp()) + 3 * 300


def test_no_candles_are_empty_arrays_of_the_right_types(btc: Instrument) -> None:
    bars = selectors.closed_candles(btc.id, 300, until=START, count=5)
    assert len(bars) == 0
    assert (bars.open_time.dtype, bars.volume.dtype) == ("int64", "float64")


def test_candles_between_are_half_open_and_oldest_first(btc: Instrument) -> None:
    store(btc, 5)
    found = selectors.candles_between(btc.id, 300, START, START + timedelta(seconds=600))
    assert [row.close for row in found] == [Decimal(100), Decimal(101)]


def test_a_candle_is_stored_once_and_a_revision_is_counted(btc: Instrument) -> None:
    kind = MarketKind.LIVE
    assert services.store_candles(candles=[candle(btc, 0)], timeframe=300, kind=kind) == (1, 0)
    assert services.store_candles(candles=[candle(btc, 0, "99")], timeframe=300, kind=kind) == (0, 0)
    assert Candle.objects.get().close == Decimal(101)
    assert services.store_candles(candles=[candle(btc, 0, "99")], timeframe=300, kind=kind, revise=True) == (0, 1)
    assert services.store_candles(candles=[candle(btc, 0, "99")], timeframe=300, kind=kind, revise=True) == (0, 0)
    stored = Candle.objects.get()
    assert (stored.close, stored.revision) == (Decimal(99), 1)


def test_the_quote_is_the_last_one_set(btc: Instrument) -> None:
    assert selectors.quote(btc.id) is None
    for price in (Decimal(5), Decimal("6.25")):
        set_quote(instrument=btc, price=price, timeframe=300, kind=MarketKind.REPLAY, market_time=START)
    found = selectors.quote(btc.id)
    assert found is not None
    assert (found.price, found.kind, found.market_time) == (Decimal("6.25"), "replay", START)


def test_moving_to_another_feed_forgets_the_old_price_and_announces_both(
    btc: Instrument, django_capture_on_commit_callbacks
) -> None:
    heard = []

    def hear(feed_id: int, **_: object) -> None:
        heard.append(feed_id)

    feed_changed.connect(hear)
    old, new = (Feed.objects.create(name=name, driver="simulator") for name in ("old", "new"))
    services.assign_feed(feed=old, instruments=[btc])
    set_quote(instrument=btc, price=Decimal(5), timeframe=5, kind=MarketKind.SIMULATED, market_time=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        assert services.assign_feed(feed=new, instruments=[btc]) == [btc]
    assert sorted(heard) == sorted([old.id, new.id])
    assert not Quote.objects.exists()
    assert services.assign_feed(feed=new, instruments=[btc]) == []


def test_a_forbidden_move_changes_nothing(btc: Instrument) -> None:
    def forbid(**_: object) -> None:
        raise FeedBusy("BTCUSDT has an open position")

    feed_switching.connect(forbid)
    try:
        with pytest.raises(FeedBusy, match="open position"):
            services.assign_feed(feed=Feed.objects.create(name="new", driver="simulator"), instruments=[btc])
    finally:
        feed_switching.disconnect(forbid)
    btc.refresh_from_db()
    assert btc.feed is None


def test_simulated_and_real_candles_never_share_a_series(btc: Instrument) -> None:
    store(btc, 1)
    services.require_one_market(instrument_ids=[btc.id], timeframe=300, kind=MarketKind.LIVE)
    services.require_one_market(instrument_ids=[btc.id], timeframe=5, kind=MarketKind.SIMULATED)
    with pytest.raises(MixedMarket, match="BTCUSDT has imported candles"):
        services.require_one_market(instrument_ids=[btc.id], timeframe=300, kind=MarketKind.SIMULATED)


def test_market_kinds_are_those_of_enabled_feeds_with_instruments(btc: Instrument) -> None:
    feed = Feed.objects.create(name="simulated", driver="simulator")
    Feed.objects.create(name="live", driver="live")
    assert selectors.market_kinds() == set()
    services.assign_feed(feed=feed, instruments=[btc])
    assert selectors.market_kinds() == {MarketKind.SIMULATED}
    services.set_feed_enabled(feed=feed, enabled=False)
    assert selectors.market_kinds() == set()
