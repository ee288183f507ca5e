"""What the feed process does by itself: one at a time, each feed by its own driver, and what its page says."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from algotrendy.isolation.models import RowFailure
from algotrendy.locks import release
from market import services
from market.feed_control import start_replay
from market.feeds import runner as runner_module
from market.feeds.ccxt_client import Venue
from market.feeds.live import LiveDriver
from market.feeds.runner import LOCK, STAND_BY, Runner, make_driver
from market.models import Candle, Feed, Instrument, MarketKind
from market.services import NewCandle
from tests.support.locks import lock_held_elsewhere
from tests.support.market import NOW, Clock

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def feed_with(*symbols: str, driver: str = "simulator", timeframe: int = 5, **settings: object) -> Feed:
    feed = Feed.objects.create(name=driver, driver=driver, timeframe=timeframe, settings=settings)
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument(symbol) for symbol in symbols])
    return feed


def pass_by(desk: Runner, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        clock.now += 1
        desk.one_pass()


# --- the process -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_second_process_writes_nothing_until_the_first_has_ended(
    desk: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="market")
    feed_with("BTCUSDT", history=3)
    with lock_held_elsewhere(LOCK):
        assert (desk._guarded_pass(), desk._guarded_pass()) == (STAND_BY, STAND_BY)
    assert not Candle.objects.exists()
    try:
        desk._guarded_pass()
        desk._guarded_pass()
    finally:
        release(LOCK)
    assert Candle.objects.count() == 3
    logged = [record.message for record in caplog.records if record.name == "market.feeds.runner"]
    assert logged == ["another feed process runs: waiting for its end", "running feeds"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("driver", "kind"), [("live", "LiveDriver"), ("replay", "ReplayDriver"), ("simulator", "SimulatorDriver")]
)
def test_each_feed_has_the_driver_that_it_names(driver: str, kind: str) -> None:
    chosen = make_driver(Feed(name="any", driver=driver, timeframe=300), lambda: None)
    chosen.close()
    assert type(chosen).__name__ == kind


@pytest.mark.django_db
def test_a_feed_keeps_its_driver_while_nobody_changes_it(desk: Runner, clock: Clock) -> None:
    feed = feed_with("BTCUSDT", history=3)
    desk.one_pass()
    driver = desk.running[feed.id].driver
    pass_by(desk, clock, 12)
    assert desk.running[feed.id].driver is driver
    Feed.objects.update(settings={"history": 4})
    pass_by(desk, clock, 2)
    assert desk.running[feed.id].driver is not driver


@pytest.mark.django_db
def test_a_feed_whose_instruments_have_left_is_stopped(desk: Runner, clock: Clock) -> None:
    feed = feed_with("BTCUSDT", history=3)
    desk.one_pass()
    services.assign_feed(feed=None, instruments=[Instrument.objects.get()])
    pass_by(desk, clock, 2)
    feed.refresh_from_db()
    assert (feed.state, desk.running) == ("stopped", {})


@pytest.mark.django_db
def test_a_feed_that_was_running_before_and_has_no_instruments_is_stopped(desk: Runner) -> None:
    feed = feed_with()
    Feed.objects.update(state="stale")
    desk.one_pass()
    feed.refresh_from_db()
    assert (feed.state, desk.running) == ("stopped", {})


@pytest.mark.django_db
def test_pages_hear_of_a_feed_that_fails_or_goes_stale(
    desk: Runner, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = feed_with("BTCUSDT", history=3)
    desk.one_pass()
    news: list[tuple[int, str]] = []
    tell = lambda pk: news.append((pk, Feed.objects.get(pk=pk).state))  # noqa: E731
    monkeypatch.setattr(runner_module, "announce_feed", tell)
    Feed.objects.update(last_candle_at=datetime(2026, 1, 1, tzinfo=UTC))
    feed.refresh_from_db()
    desk._follow(feed, list(feed.instruments.all()))
    desk._mark_stale(datetime(2026, 1, 2, tzinfo=UTC), feed)
    desk._record_error(feed, "OSError: no answer")
    desk._record_error(feed, "OSError: no answer")
    assert news == [(feed.pk, "stale"), (feed.pk, "error")]


@pytest.mark.django_db
def test_a_step_that_meets_a_change_writes_nothing_and_is_done_again_by_a_new_driver(
    desk: Runner, clock: Clock
) -> None:
    feed = feed_with("BTCUSDT", history=3)
    desk.one_pass()
    Feed.objects.update(settings={"history": 3, "seed": 2})
    clock.now += 5
    desk._reload_at = clock.now + 1  # the change is not read yet
    desk.one_pass()
    assert (desk.running, Candle.objects.count()) == ({}, 3)
    desk.one_pass()
    assert (list(desk.running), Candle.objects.count()) == ([feed.id], 4)


@pytest.mark.django_db
def test_a_replay_without_candles_says_what_is_missing(desk: Runner) -> None:
    feed = feed_with("BTCUSDT", driver="replay", timeframe=300)
    desk.one_pass()
    feed.refresh_from_db()
    assert feed.state == "error"
    assert feed.last_error == "ValueError: there are no imported candles of 300 s to replay"


@pytest.mark.django_db
def test_a_replay_at_its_end_is_not_asked_again(desk: Runner, clock: Clock) -> None:
    btc = services.ensure_instrument("BTCUSDT")
    candle = NewCandle(btc.id, MONDAY, *(Decimal(100),) * 4, Decimal(1))
    services.store_candles(candles=[candle], timeframe=300, kind=MarketKind.IMPORTED)
    start_replay(speed=300, start=MONDAY)
    pass_by(desk, clock, 5)
    feed = Feed.objects.get(name="replay")
    assert (feed.enabled, feed.state, desk.running) == (False, "stopped", {})
    assert feed.progress["note"].startswith("replay ended at")


# --- live --------------------------------------------------------------------------------------------------------


class Asked:
    """An exchange that answers when it may, and knows only the markets it is given."""

    has: dict[str, object] = {}

    def __init__(self, *markets: str) -> None:
        self.markets = markets
        self.may_answer = threading.Event()

    def fetch_time(self) -> int:
        raise NotImplementedError

    def fetch_ohlcv(self, symbol: str, timeframe: str, *, since: int, limit: int) -> list[list[Any]]:
        self.may_answer.wait(5)
        if symbol not in self.markets:
            raise ValueError(f"there is no market {symbol}")
        return [[at, 100, 101, 99, 100, 1] for at in range(since, since + limit * 300_000, 300_000)]


def stepping(feed: Feed, exchange: Asked) -> tuple[LiveDriver, Callable[[], Any]]:
    driver = LiveDriver(feed, lambda: None, Venue("any", exchange=exchange))
    now = datetime.now(UTC).timestamp()
    return driver, lambda: driver.step(feed, list(feed.instruments.order_by("id")), now)


@pytest.mark.django_db
def test_a_venue_that_takes_its_time_keeps_no_other_feed_waiting() -> None:
    feed = feed_with("BTCUSDT", driver="live", timeframe=300, backfill=5)
    driver, step = stepping(feed, exchange := Asked("BTC/USDT"))
    assert step().is_empty
    assert step().is_empty
    exchange.may_answer.set()
    assert driver.future is not None
    driver.future.result(timeout=20)
    assert len(step().candles) >= 5
    driver.close()


@pytest.mark.django_db
def test_a_venue_that_answers_nothing_of_any_market_fails_the_feed_and_each_is_named() -> None:
    feed = feed_with("BTCUSDT", "ETHUSDT", driver="live", timeframe=300)
    driver, step = stepping(feed, exchange := Asked())
    exchange.may_answer.set()
    step()
    assert driver.future is not None
    driver.future.result(timeout=20)
    with pytest.raises(OSError, match=r"no market BTC/USDT; ETH/USDT: .*no market ETH/USDT"):
        step()
    driver.close()
    assert not RowFailure.objects.exists()


@pytest.mark.django_db
def test_a_venue_that_is_late_with_a_bar_is_asked_each_second_for_a_little_while() -> None:
    driver = LiveDriver(feed := feed_with(driver="live", timeframe=300), lambda: None)
    closed = NOW - NOW % 300
    assert driver._due(feed, True, closed + 3) == closed + 4
    assert driver._due(feed, True, closed + 20) == closed + 35
    assert driver._due(feed, False, closed + 3) == closed + 18
    driver.close()


@pytest.mark.django_db
def test_a_market_bears_the_name_that_the_settings_give_it() -> None:
    driver = LiveDriver(
        Feed(driver="live", timeframe=300, settings={"symbols": {"GOLD": "XAU/USD"}}), lambda: None
    )
    assert driver._market(Instrument(symbol="GOLD")) == "XAU/USD"
    assert driver._market(Instrument(symbol="BTCUSDT", base="BTC", quote="USDT")) == "BTC/USDT"
    driver.close()


# --- weekly bars -------------------------------------------------------------------------------------------------

WEEK = 604_800


@pytest.mark.django_db
def test_a_live_feed_asks_for_weekly_bars_when_a_week_has_ended() -> None:
    driver = LiveDriver(feed := feed_with(driver="live", timeframe=WEEK), lambda: None)
    closes = (MONDAY + timedelta(days=7)).timestamp()
    assert driver._due(feed, False, closes - 5) == closes + 2
    thursday = (MONDAY + timedelta(days=3)).timestamp()
    assert driver._due(feed, False, thursday - 5) == thursday + 10
    driver.close()


@pytest.mark.django_db
def test_simulated_weekly_bars_open_on_mondays(desk: Runner, clock: Clock) -> None:
    feed_with("BTCUSDT", timeframe=WEEK, history=3)
    clock.now = (MONDAY + timedelta(days=5)).timestamp()
    desk.one_pass()
    opened = Candle.objects.order_by("open_time").values_list("open_time", flat=True)
    assert list(opened) == [MONDAY - timedelta(days=7 * weeks) for weeks in (3, 2, 1)]


@pytest.mark.django_db
def test_a_weekly_replay_that_is_begun_anew_repeats_no_candle(desk: Runner, clock: Clock) -> None:
    btc = services.ensure_instrument("BTCUSDT")
    candles = [
        NewCandle(btc.id, MONDAY + timedelta(days=7 * week), *(Decimal(100),) * 4, Decimal(1)) for week in range(9)
    ]
    services.store_candles(candles=candles, timeframe=WEEK, kind=MarketKind.IMPORTED)
    start_replay(speed=WEEK, start=MONDAY + timedelta(days=14), timeframe=WEEK)
    desk.one_pass()
    pass_by(desk, clock, 2)
    assert Feed.objects.get().progress["at"] == (MONDAY + timedelta(days=28)).isoformat()
    again = Runner(clock)
    again.one_pass()
    assert Feed.objects.get().clock == MONDAY + timedelta(days=28)
    [running] = again.running.values()
    assert running.driver.step(running.feed, running.instruments, clock.now).closed == {}
