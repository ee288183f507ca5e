"""The live feed against a small exchange on the loopback, spoken to by the real ccxt."""

import json
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from market import selectors, services
from market.feeds.base import Tick
from market.feeds.ccxt_client import Venue
from market.feeds.live import LiveDriver
from market.feeds.runner import identity
from market.feeds.storage import write_tick
from market.models import Candle, Feed, Gap, Instrument, MarketKind

pytestmark = pytest.mark.django_db
SIZE = 300
SYMBOL = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8,
    "quotePrecision": 8, "isSpotTradingAllowed": True, "permissions": ["SPOT"], "orderTypes": ["LIMIT"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
    ],
}  # fmt: skip


class Exchange:
    """Klines as Binance answers them: at most 1000, oldest first, the last one still forming."""

    def __init__(self) -> None:
        self.now = int(time.time()) // SIZE * SIZE + 10.0
        self.missing: set[int] = set()
        self.changed: dict[int, float] = {}
        self.first = 0
        self.down = False
        self.asked: list[dict[str, str]] = []

    @property
    def forming(self) -> int:
        return int(self.now) // SIZE * SIZE

    def kline(self, opened: int) -> list[Any]:
        close = self.changed.get(opened, 100_000.0 + opened // SIZE % 100)
        prices = [f"{price:.2f}" for price in (close, close + 5, close - 5, close)]
        return [opened * 1000, *prices, "12.34500000", opened * 1000 + SIZE * 1000 - 1, "1", 7, "1", "1", "0"]

    def klines(self, query: dict[str, str]) -> list[list[Any]]:
        self.asked.append(query)
        since = max(-(-int(query["startTime"]) // (SIZE * 1000)) * SIZE, self.first)
        times = [at for at in range(since, self.forming + SIZE, SIZE) if at not in self.missing]
        return [self.kline(at) for at in times[: min(int(query["limit"]), 1000)]]


class Handler(BaseHTTPRequestHandler):
    exchange: Exchange

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        answers: dict[str, Any] = {
            "time": lambda: {"serverTime": int(self.exchange.now * 1000)},
            "exchangeInfo": lambda: {"timezone": "UTC", "rateLimits": [], "symbols": [SYMBOL]},
            "klines": lambda: self.exchange.klines(query),
        }
        if self.exchange.down:
            self.send_error(503)
            return
        body = json.dumps(answers[url.path.rsplit("/", 1)[-1]]()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def address(exchange: Exchange) -> Iterator[str]:
    handler = type("Bound", (Handler,), {"exchange": exchange})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def ccxt_binance() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what others' packages say while being imported
        import ccxt
    return ccxt.binance


@pytest.fixture
def feed(address: str, ccxt_binance: Any) -> Feed:
    feed = Feed.objects.create(
        name="live",
        driver="live",
        timeframe=SIZE,
        settings={"url": address, "backfill": 50, "exchange": "binance"},
    )
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument("BTCUSDT")])
    return feed


@pytest.fixture
def driver(feed: Feed) -> Iterator[LiveDriver]:
    driver = LiveDriver(feed, lambda: None)
    yield driver
    driver.pool.shutdown()
    session = getattr(driver.venue._exchange, "session", None)
    if session:
        session.close()


def poll(driver: LiveDriver, exchange: Exchange) -> Tick:
    """Step until the fetch has answered, and write what came."""
    feed = Feed.objects.get()
    driver.venue._skew_until = float("-inf")
    driver.step(feed, list(feed.instruments.all()), exchange.now)
    assert driver.future is not None
    driver.future.exception(timeout=20)
    tick = driver.step(feed, list(feed.instruments.all()), exchange.now)
    assert write_tick(feed, tick, identity(feed)) is not None
    return tick


def times() -> list[int]:
    return [int(at.timestamp()) for at in Candle.objects.order_by("open_time").values_list("open_time", flat=True)]


def btc() -> Instrument:
    return Instrument.objects.get()


def test_closed_bars_are_stored_and_the_forming_one_is_only_a_price(
    driver: LiveDriver, exchange: Exchange
) -> None:
    tick = poll(driver, exchange)
    assert times() == list(range(exchange.forming - 50 * SIZE, exchange.forming, SIZE))
    candle = Candle.objects.order_by("-open_time")[0]
    assert (candle.kind, candle.volume) == (MarketKind.LIVE, Decimal("12.345"))
    quote = selectors.quote(btc().id)
    assert quote is not None
    assert quote.price == Decimal(exchange.kline(exchange.forming)[4])
    assert (quote.kind, quote.market_time.timestamp()) == (MarketKind.LIVE, exchange.now)
    assert tick.due == exchange.now + 15
    feed = Feed.objects.get()
    assert feed.clock == datetime.fromtimestamp(exchange.forming, UTC)


def test_the_next_bar_is_fetched_just_after_its_close(driver: LiveDriver, exchange: Exchange) -> None:
    poll(driver, exchange)
    exchange.now = exchange.forming + SIZE - 5.0
    tick = poll(driver, exchange)
    assert (tick.due, tick.closed) == (exchange.forming + SIZE + 2.0, {})
    exchange.now = tick.due
    tick = poll(driver, exchange)
    assert tick.closed == {btc().id: datetime.fromtimestamp(exchange.forming - SIZE, UTC)}
    assert times()[-1] == exchange.forming - SIZE


def test_a_venue_that_publishes_late_is_asked_again_at_once(driver: LiveDriver, exchange: Exchange) -> None:
    poll(driver, exchange)
    exchange.now = exchange.forming + SIZE + 2.0
    exchange.missing = {exchange.forming - SIZE, exchange.forming}
    tick = poll(driver, exchange)
    assert (tick.due, tick.closed) == (exchange.now + 1, {})
    exchange.now, exchange.missing = tick.due, set()
    assert list(poll(driver, exchange).closed) == [btc().id]


def test_after_an_outage_the_missing_bars_come_page_by_page(driver: LiveDriver, exchange: Exchange) -> None:
    poll(driver, exchange)
    exchange.down = True
    exchange.now += 2500 * SIZE
    with pytest.raises(Exception, match="503"):
        poll(driver, exchange)
    exchange.down = False
    exchange.asked.clear()
    poll(driver, exchange)
    found = times()
    assert found == list(range(found[0], exchange.forming, SIZE))
    assert len(found) == 2550
    assert len(exchange.asked) == 3
    assert Gap.objects.count() == 0


def test_bars_that_the_venue_does_not_have_are_a_gap_of_the_exchange(
    driver: LiveDriver, exchange: Exchange
) -> None:
    poll(driver, exchange)
    start = exchange.forming
    exchange.now += 20 * SIZE
    exchange.missing = {start + 3 * SIZE, start + 4 * SIZE}
    poll(driver, exchange)
    gap = Gap.objects.get()
    assert gap.state == Gap.State.EXCHANGE
    assert gap.first_missing.timestamp() == start + 3 * SIZE
    assert gap.next_present.timestamp() == start + 5 * SIZE


def test_an_open_gap_is_refilled(driver: LiveDriver, exchange: Exchange, feed: Feed) -> None:
    poll(driver, exchange)
    hole = exchange.forming - 30 * SIZE
    Candle.objects.filter(open_time=datetime.fromtimestamp(hole, UTC)).delete()
    gap = Gap.objects.create(
        instrument=btc(), timeframe=SIZE, first_missing=datetime.fromtimestamp(hole, UTC),
        next_present=datetime.fromtimestamp(hole, UTC) + timedelta(seconds=SIZE),
    )  # fmt: skip
    exchange.now += 1000
    poll(driver, exchange)
    gap.refresh_from_db()
    assert gap.state == Gap.State.REFILLED
    assert hole in times()


def test_a_bar_that_the_venue_revises_is_counted_up(driver: LiveDriver, exchange: Exchange) -> None:
    poll(driver, exchange)
    last = exchange.forming - SIZE
    exchange.changed[last] = 123_456.0
    exchange.now += 20
    poll(driver, exchange)
    candle = Candle.objects.get(open_time=datetime.fromtimestamp(last, UTC))
    assert (candle.close, candle.revision) == (Decimal(123_456), 1)
    assert set(Candle.objects.exclude(id=candle.id).values_list("revision", flat=True)) == {0}


def test_the_venues_clock_decides_what_is_closed(driver: LiveDriver, exchange: Exchange) -> None:
    exchange.now = exchange.forming + SIZE - 1.0
    feed = Feed.objects.get()
    ahead = exchange.now + 2  # our clock says the bar is closed, the venue's doesn't
    driver.step(feed, list(feed.instruments.all()), ahead)
    assert driver.future is not None
    driver.future.result(timeout=20)
    tick = driver.step(feed, list(feed.instruments.all()), ahead)
    assert max(candle.open_time.timestamp() for candle in tick.candles) == exchange.forming - SIZE


class Answers:
    """An exchange object with answers of our own, for what a server is too well-behaved to say."""

    has = {"fetchTime": False}

    def __init__(self, rows: list[list[Any]]) -> None:
        self.rows = rows

    def fetch_ohlcv(self, market: str, timeframe: str, since: int, limit: int) -> list[list[Any]]:
        if market == "BAD/USDT":
            raise ValueError("binance does not have market symbol BAD/USDT")
        return [row for row in self.rows if row[0] >= since][:limit]


def recent(count: int) -> list[list[Any]]:
    forming = int(time.time()) // SIZE * SIZE
    return [[(forming - (count - 1 - n) * SIZE) * 1000, 5.0, 6.0, 4.0, 5.5, 1.0] for n in range(count)]


def answered(feed: Feed, rows: list[list[Any]]) -> Tick:
    driver = LiveDriver(feed, lambda: None, Venue("fake", exchange=Answers(rows)))
    instruments = list(feed.instruments.all())
    driver.step(feed, instruments, time.time())
    assert driver.future is not None
    driver.future.exception(timeout=5)
    try:
        return driver.step(feed, instruments, time.time())
    finally:
        driver.close()


@pytest.fixture
def fake_feed() -> Feed:
    feed = Feed.objects.create(name="fake", driver="live", timeframe=SIZE)
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument("BTCUSDT")])
    return feed


def test_rows_that_are_no_candles_are_left_out(fake_feed: Feed) -> None:
    rows = recent(6)
    rows[0][2], rows[1][3], rows[2][4] = 3.0, None, float("nan")
    tick = answered(fake_feed, rows)
    assert len(tick.candles) == 2


def test_one_unknown_market_does_not_stop_the_others(fake_feed: Feed) -> None:
    services.assign_feed(feed=fake_feed, instruments=[services.ensure_instrument("BADUSDT")])
    tick = answered(fake_feed, recent(4))
    assert len(tick.candles) == 3
    assert "BAD/USDT: ValueError" in tick.problem
    written = write_tick(fake_feed, tick, identity(fake_feed))
    assert written is not None
    assert (written.state, "BAD/USDT" in written.last_error) == ("running", True)


def test_an_unknown_exchange_is_told_by_name(ccxt_binance: Any) -> None:
    with pytest.raises(ValueError, match="no exchange 'nosuch'"):
        Venue("nosuch").server_time()


def test_the_market_of_an_odd_symbol_can_be_named(fake_feed: Feed) -> None:
    services.assign_feed(feed=None, instruments=list(fake_feed.instruments.all()))
    services.assign_feed(feed=fake_feed, instruments=[services.ensure_instrument("GOLD")])
    with pytest.raises(ValueError, match="name the market of GOLD"):
        answered(fake_feed, recent(3))
    fake_feed.settings = {"symbols": {"GOLD": "XAU/USD"}}
    assert len(answered(fake_feed, recent(3)).candles) == 2
