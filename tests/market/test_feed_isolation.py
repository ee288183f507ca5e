"""A feed's instruments fail alone: the others get their candles, and Health names the one that fails."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from algotrendy.isolation.models import RowFailure
from market import freshness as fresh
from market import selectors, services
from market.feeds import runner as runner_module
from market.feeds.base import Tick
from market.feeds.ccxt_client import Venue
from market.feeds.live import LiveDriver
from market.feeds.runner import Runner, identity
from market.feeds.simulated import SimulatorDriver
from market.feeds.storage import write_tick
from market.models import Candle, Feed, Instrument, MarketKind
from market.services import NewCandle, NewQuote
from tests.support.market import NOW, Clock

pytestmark = pytest.mark.django_db
FIVE = timedelta(seconds=5)


def simulated(*symbols: str, name: str = "simulated", settings: Any = None) -> Feed:
    feed = Feed.objects.create(name=name, driver="simulator", timeframe=5, settings=settings or {"history": 20})
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument(symbol) for symbol in symbols])
    return feed


def go_on(desk: Runner, clock: Clock, seconds: int = 5) -> None:
    for _ in range(seconds):
        clock.now += 1
        desk.one_pass()


def count(symbol: str) -> int:
    return Candle.objects.filter(instrument__symbol=symbol).count()


def failures() -> list[tuple[str, str, str]]:
    rows = RowFailure.objects.order_by("work", "key")
    return [(row.work, row.name, row.error) for row in rows]


def opened(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- simulated ---------------------------------------------------------------------------------------------------


def test_real_candles_of_one_simulated_instrument_stop_no_other(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT", "ETHUSDT")
    eth = Instrument.objects.get(symbol="ETHUSDT")
    real = NewCandle(eth.id, opened(NOW - 500), *(Decimal(100),) * 4, Decimal(1))
    services.store_candles(candles=[real], timeframe=5, kind=MarketKind.IMPORTED)
    desk.one_pass()
    feed.refresh_from_db()
    assert (count("BTCUSDT"), count("ETHUSDT")) == (20, 1)
    [(work, name, error)] = failures()
    assert (work, name) == ("market.feed simulated", "instrument ETHUSDT")
    assert "can't be mixed" in error
    assert feed.state == "running"
    assert "ETHUSDT" in feed.last_error
    Candle.objects.filter(instrument=eth).delete()
    go_on(desk, clock)
    assert (count("BTCUSDT"), count("ETHUSDT"), failures()) == (21, 20, [])


def test_a_stored_state_that_can_not_be_used_is_one_instruments(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT", "ETHUSDT")
    desk.one_pass()
    feed.refresh_from_db()
    sound = feed.progress["assets"]["ETHUSDT"]
    poison(feed, "ETHUSDT", {"what": "ever"})
    go_on(desk, clock)
    assert (count("BTCUSDT"), count("ETHUSDT")) == (21, 20)
    assert [name for _, name, _ in failures()] == ["instrument ETHUSDT"]
    poison(feed, "ETHUSDT", sound)
    go_on(desk, clock)
    assert (count("BTCUSDT"), count("ETHUSDT"), failures()) == (22, 22, [])


def test_candles_that_can_not_be_stored_are_one_instruments_and_come_later(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT", "ETHUSDT")
    desk.one_pass()
    feed.refresh_from_db()
    sound = feed.progress["assets"]["ETHUSDT"]
    poison(feed, "ETHUSDT", sound | {"price": 3e18, "anchor": 3e18})
    go_on(desk, clock)
    feed.refresh_from_db()
    assert (count("BTCUSDT"), count("ETHUSDT")) == (21, 20)
    assert [(work, name) for work, name, _ in failures()] == [("market.store simulated", "instrument ETHUSDT")]
    assert feed.progress["assets"]["ETHUSDT"]["next"] == sound["next"]
    assert (feed.state, feed.last_error) == ("running", "the page Health says why ETHUSDT could not be stored")
    poison(feed, "ETHUSDT", sound)
    go_on(desk, clock)
    assert (count("BTCUSDT"), count("ETHUSDT"), failures()) == (22, 22, [])


def poison(feed: Feed, symbol: str, state: dict[str, object]) -> None:
    feed.refresh_from_db()
    feed.progress["assets"][symbol] = state
    feed.save(update_fields=["progress"])


# --- storing -----------------------------------------------------------------------------------------------------


def test_one_price_that_can_not_be_stored_costs_only_its_instrument() -> None:
    feed = simulated("BTCUSDT", "ETHUSDT")
    btc, eth = Instrument.objects.order_by("symbol")
    tick = Tick(
        due=NOW,
        candles=[candle_of(eth, Decimal(10) ** 18), candle_of(btc, Decimal(100))],
        quotes=[NewQuote(one.id, Decimal(100), opened(NOW)) for one in (btc, eth)],
        closed={one.id: opened(NOW) for one in (btc, eth)},
    )
    assert write_tick(feed, tick, identity(feed)) is not None
    assert (count("BTCUSDT"), count("ETHUSDT")) == (1, 0)
    assert selectors.quote(btc.id) is not None
    assert selectors.quote(eth.id) is None
    assert [name for _, name, _ in failures()] == ["instrument ETHUSDT"]


def candle_of(instrument: Instrument, price: Decimal) -> NewCandle:
    return NewCandle(instrument.id, opened(NOW), price, price, price, price, Decimal(1))


# --- live --------------------------------------------------------------------------------------------------------


class Klines:
    """An exchange with a candle every five minutes; markets named in `unknown` it does not have."""

    has: dict[str, object] = {}

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.odd: dict[str, list[Any]] = {}

    def fetch_time(self) -> int:
        raise NotImplementedError

    def fetch_ohlcv(self, symbol: str, timeframe: str, *, since: int, limit: int) -> list[list[Any]]:
        if symbol in self.unknown:
            raise ValueError(f"there is no market {symbol}")
        rows = [[at, 100, 101, 99, 100, 1] for at in range(since, since + limit * 300_000, 300_000)]
        return [*self.odd.get(symbol, []), *rows]


@pytest.fixture
def live() -> Feed:
    feed = Feed.objects.create(name="live", driver="live", timeframe=300, settings={"backfill": 5})
    for symbol in ("BTCUSDT", "ETHUSDT"):
        services.assign_feed(feed=feed, instruments=[services.ensure_instrument(symbol)])
    return feed


def poll(feed: Feed, klines: Klines, now: float) -> None:
    driver = LiveDriver(feed, lambda: None, Venue("any", exchange=klines))
    instruments: Sequence[Instrument] = list(feed.instruments.all())
    driver.step(feed, instruments, now)
    assert driver.future is not None
    driver.future.exception(timeout=20)
    written = write_tick(feed, driver.step(feed, instruments, now), identity(feed))
    driver.close()
    assert written is not None
    feed.refresh_from_db()


def test_an_instrument_whose_market_nobody_named_stops_no_other(live: Feed) -> None:
    Instrument.objects.filter(symbol="ETHUSDT").update(base="", quote="")
    poll(live, Klines(), datetime.now(UTC).timestamp())
    assert count("BTCUSDT") > 0
    assert count("ETHUSDT") == 0
    [(work, name, error)] = failures()
    assert (work, name) == ("market.feed live", "instrument ETHUSDT")
    assert "name the market of ETHUSDT in the feed's settings" in error
    assert "name the market of ETHUSDT" in live.last_error
    Instrument.objects.filter(symbol="ETHUSDT").update(base="ETH", quote="USDT")
    poll(live, Klines(), datetime.now(UTC).timestamp())
    assert count("ETHUSDT") > 0
    assert (failures(), live.last_error) == ([], "")


def test_a_market_that_the_venue_does_not_have_is_named_on_health_until_it_answers(live: Feed) -> None:
    klines = Klines()
    klines.unknown = {"ETH/USDT"}
    poll(live, klines, datetime.now(UTC).timestamp())
    assert count("BTCUSDT") > 0
    [(work, name, error)] = failures()
    assert (work, name) == ("market.fetch live", "instrument ETHUSDT")
    assert "there is no market ETH/USDT" in error
    klines.unknown = set()
    poll(live, klines, datetime.now(UTC).timestamp())
    assert (failures(), count("ETHUSDT") > 0) == ([], True)


def test_rows_that_no_table_can_hold_are_left_out_one_by_one(live: Feed) -> None:
    at = int(datetime.now(UTC).timestamp()) // 300 * 300_000 - 3_000_000
    klines = Klines()
    klines.odd = {
        "ETH/USDT": [
            [], [None, 1, 1, 1, 1, 1], ["x", 1, 1, 1, 1, 1], [1e300, 1, 1, 1, 1, 1], [at, None, 1, 1, 1, 1],
            [at, 1e18, 1e18, 1e18, 1e18, 1], [at, 1, 1, 1, 1, 1e22], [at, 1, 1, 1], [at, *[1e-11] * 4, 1],
        ]
    }  # fmt: skip
    poll(live, klines, datetime.now(UTC).timestamp())
    assert count("ETHUSDT") == count("BTCUSDT") > 0
    assert (failures(), live.last_error) == ([], "")


# --- the process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [["speed"], {"history": "all"}, {"speed": "nan"}, {"seed": None}])
def test_settings_of_any_shape_stop_only_their_own_feed(desk: Runner, settings: Any) -> None:
    broken = simulated("ETHUSDT", name="broken", settings=settings)
    simulated("BTCUSDT")
    desk.one_pass()
    broken.refresh_from_db()
    assert broken.state == "error"
    assert broken.last_error.startswith("the settings can't be used: ")
    assert count("BTCUSDT") == 20


def test_a_history_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 200000 candles"):
        SimulatorDriver(Feed(name="huge", driver="simulator", timeframe=5, settings={"history": 200_001}))


def test_a_feed_whose_age_can_not_be_told_stops_no_other(desk: Runner, clock: Clock, monkeypatch: Any) -> None:
    simulated("BTCUSDT")
    simulated("ETHUSDT", name="odd")
    real = fresh.freshness

    def freshness(feed: Feed, now: datetime) -> Any:
        if feed.name == "odd":
            raise OverflowError("too old")
        return real(feed, now)

    monkeypatch.setattr(runner_module, "freshness", freshness)
    go_on(desk, clock, 11)
    assert [(work, name) for work, name, _ in failures()] == [("market.freshness", "feed odd")]
    monkeypatch.undo()
    go_on(desk, clock, 6)
    assert failures() == []


def test_a_failure_of_an_instrument_that_left_its_feed_is_forgotten(desk: Runner, clock: Clock) -> None:
    simulated("BTCUSDT", "ETHUSDT")
    eth = Instrument.objects.get(symbol="ETHUSDT")
    real = NewCandle(eth.id, opened(NOW - 500), *(Decimal(100),) * 4, Decimal(1))
    services.store_candles(candles=[real], timeframe=5, kind=MarketKind.IMPORTED)
    desk.one_pass()
    assert len(failures()) == 1
    services.assign_feed(feed=None, instruments=[eth])
    go_on(desk, clock, 7)
    assert failures() == []
