"""Feeds as the feed process runs them: simulated and replayed markets, failures, switches, freshness."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from market import selectors, services
from market.feed_control import start_replay, stop_replay
from market.feeds import runner as runner_module
from market.feeds.base import Tick
from market.feeds.runner import Runner
from market.feeds.simulated import BACKFILL
from market.feeds.storage import write_tick
from market.freshness import duration, freshness
from market.models import Candle, Feed, Gap, Instrument, MarketKind, Quote
from market.services import FeedBusy, NewCandle, NewQuote
from market.signals import candle_closed, feed_switching, price_moved
from tests.support.market import NOW, Clock

pytestmark = pytest.mark.django_db
DATA = datetime(2025, 3, 1, tzinfo=UTC)


def simulated(*symbols: str, **settings: object) -> Feed:
    feed = Feed.objects.create(name="simulated", driver="simulator", timeframe=5, settings=settings)
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument(symbol) for symbol in symbols])
    return feed


def imported(symbol: str, count: int, skip: tuple[int, ...] = ()) -> Instrument:
    instrument = services.ensure_instrument(symbol)
    candles = [
        NewCandle(instrument.id, DATA + timedelta(minutes=5 * number), *(Decimal(100 + number),) * 4, Decimal(1))
        for number in range(count)
        if number not in skip
    ]
    services.store_candles(candles=candles, timeframe=300, kind=MarketKind.IMPORTED)
    return instrument


def run(desk: Runner, clock: Clock, seconds: float, step: float = 1.0) -> None:
    end = clock.now + seconds
    while clock.now <= end:
        desk.one_pass()
        clock.now += step


# --- simulated ---------------------------------------------------------------------------------------------------


def test_a_new_simulated_market_begins_with_a_history_that_ends_now(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT", "XRPUSDT")
    desk.one_pass()
    assert Candle.objects.count() == 2 * BACKFILL
    newest = Candle.objects.order_by("-open_time")[0]
    assert newest.open_time.timestamp() == NOW - 5
    assert newest.kind == MarketKind.SIMULATED
    feed.refresh_from_db()
    assert feed.clock is not None
    assert (feed.state, feed.clock.timestamp()) == ("running", NOW)
    quote = selectors.quote(newest.instrument_id)
    assert quote is not None
    assert (quote.price, quote.timeframe, quote.market_time.timestamp()) == (newest.close, 5, NOW)
    xrp = Candle.objects.filter(instrument__symbol="XRPUSDT")[0]
    assert xrp.close == xrp.close.quantize(Decimal("0.0001"))


def test_each_bar_comes_when_it_closes_and_a_restart_goes_on(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT")
    run(desk, clock, 12)
    assert Candle.objects.count() == BACKFILL + 2
    run(Runner(clock), clock, 12)
    times = list(Candle.objects.order_by("open_time").values_list("open_time", flat=True))
    assert {after - before for before, after in itertools.pairwise(times)} == {timedelta(seconds=5)}
    rows = Candle.objects.order_by("open_time").values_list("open", "close")
    assert all(before[1] == after[0] for before, after in itertools.pairwise(rows))
    assert Gap.objects.count() == 0
    feed.refresh_from_db()
    assert feed.progress["assets"]["BTCUSDT"]["next"] == times[-1].timestamp() + 5


def test_the_same_seed_and_times_give_the_same_candles(desk: Runner, clock: Clock) -> None:
    simulated("BTCUSDT", seed=9)
    desk.one_pass()
    first = list(Candle.objects.order_by("open_time").values_list("open_time", "close", "volume"))
    Candle.objects.all().delete()
    Feed.objects.update(progress={})
    Runner(clock).one_pass()
    assert list(Candle.objects.order_by("open_time").values_list("open_time", "close", "volume")) == first


def test_a_short_pause_is_caught_up_and_a_long_one_leaves_a_gap(desk: Runner, clock: Clock) -> None:
    simulated("BTCUSDT")
    desk.one_pass()
    clock.now += 500
    desk.one_pass()
    assert (Candle.objects.count(), Gap.objects.count()) == (BACKFILL + 100, 0)
    clock.now += 5 * (BACKFILL + 300)
    desk.one_pass()
    gap = Gap.objects.get()
    assert gap.next_present - gap.first_missing == timedelta(seconds=5 * 300)
    assert gap.state == Gap.State.EXCHANGE


def test_an_instrument_that_joins_later_gets_a_history_of_its_own(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT")
    desk.one_pass()
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument("ETHUSDT")])
    run(desk, clock, 2)
    assert Candle.objects.filter(instrument__symbol="ETHUSDT").count() == BACKFILL
    assert Candle.objects.filter(instrument__symbol="BTCUSDT").count() == BACKFILL


def test_an_instrument_that_comes_back_goes_on_from_its_last_price(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT", "ETHUSDT")
    desk.one_pass()
    eth = Instrument.objects.get(symbol="ETHUSDT")
    services.assign_feed(feed=None, instruments=[eth])
    run(desk, clock, 20)
    services.assign_feed(feed=feed, instruments=[eth])
    run(desk, clock, 2)
    rows = list(Candle.objects.filter(instrument=eth).order_by("open_time").values_list("open", "close"))
    assert len(rows) == BACKFILL + 4
    assert rows[BACKFILL][0] == rows[BACKFILL - 1][1]


def test_a_simulator_refuses_to_write_between_real_candles(desk: Runner, clock: Clock) -> None:
    imported("BTCUSDT", 3)
    feed = simulated("BTCUSDT")
    Feed.objects.update(timeframe=300)
    desk.one_pass()
    feed.refresh_from_db()
    assert feed.state == "error"
    assert "can't be mixed" in feed.last_error
    assert Candle.objects.count() == 3


# --- the process -------------------------------------------------------------------------------------------------


class Broken:
    """A driver that always fails."""

    def step(self, *_: object) -> Tick:
        raise RuntimeError("the venue burnt down")

    def close(self) -> None:
        pass


def test_a_feed_that_fails_stops_no_other_and_is_tried_again(
    desk: Runner, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = runner_module.make_driver
    monkeypatch.setattr(
        runner_module, "make_driver", lambda feed, wake: Broken() if feed.name == "broken" else make(feed, wake)
    )
    broken = Feed.objects.create(name="broken", driver="live")
    services.assign_feed(feed=broken, instruments=[services.ensure_instrument("ETHUSDT")])
    simulated("BTCUSDT")
    run(desk, clock, 20)
    broken.refresh_from_db()
    assert (broken.state, broken.last_error) == ("error", "RuntimeError: the venue burnt down")
    assert Candle.objects.count() == BACKFILL + 4
    assert 2 <= desk.running[broken.id].failures <= 5
    monkeypatch.undo()
    Feed.objects.filter(id=broken.id).update(driver="simulator", timeframe=5)
    run(desk, clock, 2)
    broken.refresh_from_db()
    assert (broken.state, broken.last_error) == ("running", "")


def test_settings_that_make_no_sense_are_told_and_can_be_mended(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT", seed="many")
    run(desk, clock, 2)
    feed.refresh_from_db()
    assert feed.state == "error"
    assert "settings can't be used" in feed.last_error
    Feed.objects.update(settings={"seed": 2})
    run(desk, clock, 2)
    feed.refresh_from_db()
    assert (feed.state, feed.last_error) == ("running", "")


def test_a_feed_is_switched_off_and_on_while_the_process_runs(desk: Runner, clock: Clock) -> None:
    feed = simulated("BTCUSDT")
    desk.one_pass()
    services.set_feed_enabled(feed=feed, enabled=False)
    run(desk, clock, 30)
    assert Candle.objects.count() == BACKFILL
    services.set_feed_enabled(feed=feed, enabled=True)
    run(desk, clock, 2)
    assert Candle.objects.count() > BACKFILL


def test_no_price_of_the_old_market_is_written_after_a_switch(desk: Runner, clock: Clock) -> None:
    simulated("BTCUSDT")
    desk.one_pass()
    btc = Instrument.objects.get()
    other = Feed.objects.create(name="other", driver="simulator", enabled=False)
    services.assign_feed(feed=other, instruments=[btc])
    clock.now += 0.5  # before the process has read its feeds again
    desk.running[next(iter(desk.running))].due = 0
    clock.now += 5
    desk._reload_at = clock.now + 100
    desk.one_pass()
    assert not Quote.objects.exists()
    assert Candle.objects.count() == BACKFILL


def test_candles_are_announced_after_the_commit_and_a_failing_listener_is_passed_over(
    desk: Runner, clock: Clock, django_capture_on_commit_callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def fail(**_: object) -> None:
        raise OSError("no broker")

    def hear(instrument_id: int, timeframe: int, open_time: datetime, **_: object) -> None:
        heard.append((instrument_id, timeframe, open_time.timestamp()))

    candle_closed.connect(fail)
    candle_closed.connect(hear)
    try:
        simulated("BTCUSDT")
        with django_capture_on_commit_callbacks(execute=True):
            desk.one_pass()
    finally:
        candle_closed.disconnect(fail)
        candle_closed.disconnect(hear)
    assert heard == [(Instrument.objects.get().id, 5, NOW - 5)]
    assert "no broker" in caplog.text


def test_a_price_without_a_closed_candle_is_announced_too(django_capture_on_commit_callbacks) -> None:
    feed = simulated("BTCUSDT", "ETHUSDT")
    btc, eth = Instrument.objects.order_by("symbol")
    quotes = [NewQuote(one.id, Decimal(100), datetime.fromtimestamp(NOW, UTC)) for one in (btc, eth)]
    moved: list[int] = []

    def hear(instrument_id: int, **_: object) -> None:
        moved.append(instrument_id)

    price_moved.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            tick = Tick(due=0, quotes=quotes, closed={eth.id: datetime.fromtimestamp(NOW - 5, UTC)})
            write_tick(feed, tick, {})
    finally:
        price_moved.disconnect(hear)
    assert moved == [btc.id]


# --- replay ------------------------------------------------------------------------------------------------------


def test_a_replay_shows_candles_at_its_speed_and_never_the_future(desk: Runner, clock: Clock) -> None:
    btc = imported("BTCUSDT", 40)
    start = DATA + timedelta(minutes=50)
    started = start_replay(symbols=["BTCUSDT"], speed=300, start=start)
    assert started.instruments == [btc]
    seen = []
    for _ in range(10):
        desk.one_pass()
        quote = selectors.quote(btc.id)
        assert quote is not None
        assert quote.kind == MarketKind.REPLAY
        bars = selectors.closed_candles(btc.id, 300, until=quote.market_time, count=100)
        assert bars.close[-1] == float(quote.price)
        assert bars.open_time[-1] + 300 == quote.market_time.timestamp()
        seen.append(quote.market_time)
        clock.now += 1
    assert seen[0] == start
    assert seen[-1] == start + timedelta(minutes=5 * 9)
    feed = Feed.objects.get(name="replay")
    assert feed.clock == seen[-1]
    assert Candle.objects.count() == 40


def test_a_stalled_replay_stands_still_instead_of_rushing(desk: Runner, clock: Clock) -> None:
    btc = imported("BTCUSDT", 100)
    start_replay(speed=300, start=DATA)
    desk.one_pass()
    clock.now += 60
    desk.one_pass()
    quote = selectors.quote(btc.id)
    assert quote is None or quote.market_time <= DATA + timedelta(minutes=15)


def test_a_replay_goes_on_where_it_was_after_a_restart(desk: Runner, clock: Clock) -> None:
    btc = imported("BTCUSDT", 40)
    start_replay(speed=300, start=DATA)
    run(desk, clock, 5)
    before = Feed.objects.get(name="replay").clock
    clock.now += 1000
    run(Runner(clock), clock, 2)
    after = Feed.objects.get(name="replay").clock
    assert before is not None
    assert after is not None
    assert timedelta(0) < after - before <= timedelta(minutes=15)
    assert selectors.quote(btc.id) is not None


def test_at_the_end_of_the_data_the_replay_stops_and_says_so(desk: Runner, clock: Clock) -> None:
    imported("BTCUSDT", 6)
    start_replay(speed=300, start=DATA)
    run(desk, clock, 20)
    feed = Feed.objects.get(name="replay")
    assert (feed.enabled, feed.state) == (False, "stopped")
    [found] = selectors.feed_freshness()
    assert found.stale
    assert found.text.startswith("replay ended at 2025-03-01 00:30 UTC")


def test_a_replay_that_ended_does_not_jump_back_when_switched_on_again(desk: Runner, clock: Clock) -> None:
    imported("BTCUSDT", 6)
    start_replay(speed=300, start=DATA)
    run(desk, clock, 20)
    ended = Feed.objects.get(name="replay")
    services.set_feed_enabled(feed=ended, enabled=True)
    run(desk, clock, 3)
    again = Feed.objects.get(name="replay")
    assert (again.enabled, again.clock) == (False, ended.clock)


def test_a_loop_begins_again_unless_something_forbids_it(desk: Runner, clock: Clock) -> None:
    imported("BTCUSDT", 6)
    start_replay(speed=300, start=DATA, loop=True)
    held = []

    def forbid(**_: object) -> None:
        if held:
            raise FeedBusy("BTCUSDT has an open position")

    feed_switching.connect(forbid)
    try:
        held.append(True)
        run(desk, clock, 20)
        feed = Feed.objects.get(name="replay")
        assert "open position" in feed.last_error
        assert feed.clock == DATA + timedelta(minutes=30)
        held.clear()
        run(desk, clock, 4)
    finally:
        feed_switching.disconnect(forbid)
    feed.refresh_from_db()
    assert feed.last_error == ""
    assert feed.clock is not None
    assert feed.clock < DATA + timedelta(minutes=25)


def test_a_long_hole_in_the_data_is_jumped_over(desk: Runner, clock: Clock) -> None:
    imported("BTCUSDT", 100, skip=tuple(range(5, 90)))
    start_replay(speed=300, start=DATA)
    run(desk, clock, 15)
    feed = Feed.objects.get(name="replay")
    assert feed.clock is not None
    assert feed.clock >= DATA + timedelta(minutes=5 * 92)


def test_instruments_go_back_to_their_market_when_the_replay_is_stopped(desk: Runner, clock: Clock) -> None:
    home = simulated("BTCUSDT")
    btc = imported("BTCUSDT", 40)
    start_replay(start=DATA)
    btc.refresh_from_db()
    assert btc.feed is not None
    assert btc.feed.name == "replay"
    start_replay(start=DATA + timedelta(hours=1), replace=True)
    assert stop_replay() == [btc]
    btc.refresh_from_db()
    assert btc.feed == home


def test_a_replay_begins_thirty_days_before_the_end_with_a_past_before_it() -> None:
    imported("BTCUSDT", 12 * 24 * 40)
    imported("ETHUSDT", 12 * 24 * 40)
    started = start_replay()
    assert started.end - started.start == timedelta(days=30)
    assert [one.symbol for one in started.instruments] == ["BTCUSDT", "ETHUSDT"]


# --- freshness and the feeds command -------------------------------------------------------------------


@pytest.fixture
def simulator_feed() -> Iterator[Feed]:
    feed = simulated("BTCUSDT")
    feed.heartbeat_at = timezone.now()
    return feed


def test_a_feed_is_stale_after_three_intervals_but_fifteen_seconds_at_least(simulator_feed: Feed) -> None:
    now = timezone.now()
    simulator_feed.last_candle_at = now - timedelta(seconds=14)
    assert not freshness(simulator_feed, now).stale
    assert freshness(simulator_feed, now).text == "last candle 14 s ago"
    simulator_feed.last_candle_at = now - timedelta(seconds=16)
    assert freshness(simulator_feed, now).stale
    assert freshness(simulator_feed, now).text == "no candle for 16 s"
    simulator_feed.timeframe = 300
    assert not freshness(simulator_feed, now).stale
    simulator_feed.last_candle_at = now - timedelta(seconds=901)
    assert freshness(simulator_feed, now).text == "no candle for 15 min"


def test_freshness_says_why_a_feed_is_silent(simulator_feed: Feed) -> None:
    now = timezone.now()
    simulator_feed.last_candle_at = now - timedelta(seconds=100)
    simulator_feed.last_error = "TimeoutError: no answer"
    assert freshness(simulator_feed, now).text == "no candle for 2 min: TimeoutError: no answer"
    simulator_feed.heartbeat_at = now - timedelta(seconds=100)
    assert freshness(simulator_feed, now).text == "no candle for 2 min: the feed process is not running"
    simulator_feed.enabled = False
    found = freshness(simulator_feed, now)
    assert found.stale
    assert found.text == "switched off, last candle 2 min ago"


def test_a_replay_is_expected_at_its_speed() -> None:
    feed = Feed(name="replay", driver="replay", timeframe=300, settings={"speed": 60}, created_at=timezone.now())
    found = freshness(feed, timezone.now())
    assert (found.expected_seconds, found.kind, found.stale) == (5.0, MarketKind.REPLAY, False)
    assert found.text == "waiting for the first candle"


def test_durations_are_short_words() -> None:
    assert [duration(seconds) for seconds in (0, 59, 60, 119, 7200, 86_400 * 3)] == [
        "0 s", "59 s", "1 min", "2 min", "2 h", "3 d",
    ]  # fmt: skip


def test_feeds_without_instruments_are_no_ones_worry(desk: Runner) -> None:
    Feed.objects.create(name="idle", driver="simulator")
    desk.one_pass()
    assert selectors.feed_freshness() == []


def test_the_feeds_command_lists_and_switches(desk: Runner) -> None:
    simulated("BTCUSDT")
    desk.one_pass()
    out = StringIO()
    call_command("feeds", stdout=out)
    assert "simulated  Simulated  5s  running  BTCUSDT" in out.getvalue()
    call_command("feeds", "disable", "simulated", stdout=out)
    assert "switched off" in out.getvalue()
    assert not Feed.objects.get().enabled
    call_command("feeds", "enable", "simulated", stdout=out)
    assert Feed.objects.get().enabled
    with pytest.raises(CommandError, match="no feed 'nosuch'"):
        call_command("feeds", "enable", "nosuch", stdout=out)
