"""A feed's step and a switch of markets are whole, one at a time, and never mixed with one another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from algotrendy.isolation.models import RowFailure
from market import feed_control, services
from market.feed_control import ReplayRuns, go_live, start_replay, stop_replay
from market.feeds import storage
from market.feeds.base import Tick
from market.feeds.runner import identity
from market.feeds.storage import write_tick
from market.models import Candle, Feed, Instrument, MarketKind, Quote
from market.services import FeedBusy, NewCandle, NewQuote, assign_feed, ensure_instrument
from market.signals import candle_closed, feed_changed, feed_switching, price_moved
from tests.support.locks import meeting

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 9, 21, tzinfo=UTC)
DATA = datetime(2025, 3, 1, tzinfo=UTC)
HUNDRED = Decimal(100)


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture
def btc() -> Instrument:
    return ensure_instrument("BTCUSDT")


@pytest.fixture
def eth() -> Instrument:
    return ensure_instrument("ETHUSDT")


@pytest.fixture
def home(btc: Instrument, eth: Instrument) -> Feed:
    """A simulated market with two instruments."""
    feed = Feed.objects.create(name="simulated", driver="simulator", timeframe=5)
    assign_feed(feed=feed, instruments=[btc, eth])
    return feed


@pytest.fixture
def other() -> Feed:
    return Feed.objects.create(name="other", driver="simulator", timeframe=60)


def tick_of(instrument: Instrument) -> Tick:
    """A closed candle of an instrument, and its price."""
    return Tick(
        due=0.0,
        candles=[NewCandle(instrument.id, NOW, *(HUNDRED,) * 4, Decimal(1))],
        quotes=[NewQuote(instrument.id, HUNDRED, NOW)],
        closed={instrument.id: NOW},
        progress={"next": "bar"},
    )


def feed_of(instrument: Instrument) -> Feed | None:
    return Instrument.objects.select_related("feed").get(pk=instrument.pk).feed


@contextmanager
def held_position(symbol: str) -> Iterator[None]:
    """Let an open position keep an instrument in its market."""
    held = Instrument.objects.get(symbol=symbol).pk

    def forbid(instrument_id: int, **_: object) -> None:
        if instrument_id == held:
            raise FeedBusy(f"{symbol} has an open position")

    feed_switching.connect(forbid)
    try:
        yield
    finally:
        feed_switching.disconnect(forbid)


# --- a step ------------------------------------------------------------------------------------------------------


def test_a_kill_before_the_progress_is_written_leaves_no_candle_that_would_come_again(
    home: Feed, btc: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_update_feed", kill)
        with pytest.raises(Killed):
            write_tick(home, tick_of(btc), identity(home))
    assert not Candle.objects.exists()
    assert not Quote.objects.exists()


def test_a_step_that_meets_new_settings_is_thrown_away_and_they_stay(home: Feed, btc: Instrument) -> None:
    change = lambda: Feed.objects.filter(pk=home.pk).update(settings={"seed": 9}, progress={})  # noqa: E731
    assert meeting(change, lambda: write_tick(home, tick_of(btc), identity(home))) is None
    assert not Candle.objects.exists()
    home.refresh_from_db()
    assert (home.settings, home.progress) == ({"seed": 9}, {})


def test_a_step_that_meets_a_switch_prices_only_what_is_still_its_own(
    home: Feed, other: Feed, btc: Instrument
) -> None:
    switch = lambda: assign_feed(feed=other, instruments=[btc])  # noqa: E731
    meeting(switch, lambda: write_tick(home, tick_of(btc), identity(home)))
    assert not Quote.objects.exists()
    assert not Candle.objects.exists()


def test_a_switch_that_meets_a_step_forgets_the_price_that_it_brought(
    home: Feed, other: Feed, btc: Instrument
) -> None:
    moved = meeting(
        lambda: write_tick(home, tick_of(btc), identity(home)), lambda: assign_feed(feed=other, instruments=[btc])
    )
    assert moved == [btc]
    assert not Quote.objects.exists()


@pytest.fixture
def news() -> Iterator[list[tuple[str, int]]]:
    """What of candles and prices is announced: what it is, and of which instrument."""
    seen: list[tuple[str, int]] = []

    def close(instrument_id: int, **_: object) -> None:
        seen.append(("candle", instrument_id))

    def move(instrument_id: int, **_: object) -> None:
        seen.append(("price", instrument_id))

    candle_closed.connect(close)
    price_moved.connect(move)
    yield seen
    candle_closed.disconnect(close)
    price_moved.disconnect(move)


def test_candles_and_prices_are_announced_once_they_are_committed(
    home: Feed, btc: Instrument, eth: Instrument, news: list[tuple[str, int]]
) -> None:
    quotes = [NewQuote(one.id, HUNDRED, NOW) for one in (btc, eth)]
    with transaction.atomic():
        write_tick(home, replace(tick_of(btc), quotes=quotes), identity(home))
        assert news == []
    assert news == [("candle", btc.id), ("price", eth.id)]


def test_a_price_alone_and_a_candle_alone_are_stored_too(home: Feed, btc: Instrument) -> None:
    write_tick(home, replace(tick_of(btc), candles=[], progress=None), {})
    assert (Quote.objects.get().price, Candle.objects.count()) == (HUNDRED, 0)
    Quote.objects.all().delete()
    write_tick(home, replace(tick_of(btc), quotes=[], progress=None), {})
    assert (Quote.objects.count(), Candle.objects.count()) == (0, 1)
    assert not RowFailure.objects.exists()


def test_a_step_without_news_leaves_what_the_page_says_of_a_feed(home: Feed) -> None:
    Feed.objects.update(state="error", last_error="OSError: no answer")
    home.refresh_from_db()
    assert write_tick(home, Tick(due=0.0), identity(home)) == home
    home.refresh_from_db()
    assert (home.state, home.last_error, home.heartbeat_at) == ("error", "OSError: no answer", None)


# --- switches ----------------------------------------------------------------------------------------------------


def test_a_kill_in_the_middle_of_a_switch_leaves_the_market_and_its_price(
    home: Feed, other: Feed, btc: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tick(home, tick_of(btc), identity(home))
    with monkeypatch.context() as patch:
        patch.setattr(services, "announce_feed", kill)
        with pytest.raises(Killed):
            assign_feed(feed=other, instruments=[btc])
    assert feed_of(btc) == home
    assert Quote.objects.get().price == HUNDRED


def imported(*instruments: Instrument, count: int = 40) -> None:
    """Store candles that can be replayed."""
    for one in instruments:
        candles = [
            NewCandle(one.id, DATA + timedelta(minutes=5 * number), *(HUNDRED,) * 4, Decimal(1))
            for number in range(count)
        ]
        services.store_candles(candles=candles, timeframe=300, kind=MarketKind.IMPORTED)


@pytest.fixture
def replayable(home: Feed, btc: Instrument, eth: Instrument) -> Feed:
    """The home of two instruments that can be replayed."""
    imported(btc, eth)
    return home


def test_of_two_replays_that_begin_at_once_one_does(replayable: Feed, btc: Instrument, eth: Instrument) -> None:
    start_replay(symbols=["BTCUSDT"], start=DATA)
    stop_replay()
    with pytest.raises(ReplayRuns):
        meeting(
            lambda: start_replay(symbols=["BTCUSDT"], start=DATA),
            lambda: start_replay(symbols=["ETHUSDT"], start=DATA),
        )
    replay = Feed.objects.get(name="replay")
    assert (feed_of(btc), feed_of(eth), replay.enabled) == (replay, replayable, True)


def test_the_end_of_a_replay_that_is_being_replaced_gives_all_back(
    replayable: Feed, btc: Instrument, eth: Instrument
) -> None:
    start_replay(symbols=["BTCUSDT"], start=DATA)
    meeting(lambda: start_replay(symbols=["ETHUSDT"], start=DATA, replace=True), stop_replay)
    assert (feed_of(btc), feed_of(eth)) == (replayable, replayable)
    assert not Feed.objects.get(name="replay").enabled


def test_a_replay_that_one_instrument_can_not_leave_goes_on_with_all(
    replayable: Feed, btc: Instrument, eth: Instrument
) -> None:
    start_replay(start=DATA)
    with held_position("ETHUSDT"), pytest.raises(FeedBusy, match="ETHUSDT"):
        stop_replay()
    replay = Feed.objects.get(name="replay")
    assert (feed_of(btc), feed_of(eth), replay.enabled) == (replay, replay, True)


def test_a_replay_that_one_instrument_can_not_join_begins_with_none(
    replayable: Feed, btc: Instrument, eth: Instrument
) -> None:
    with held_position("ETHUSDT"), pytest.raises(FeedBusy, match="ETHUSDT"):
        start_replay(start=DATA)
    assert (feed_of(btc), feed_of(eth)) == (replayable, replayable)
    assert not Feed.objects.filter(name="replay").exists()


def test_the_end_of_no_replay_moves_nothing() -> None:
    assert stop_replay() == []


# --- live --------------------------------------------------------------------------------------------------------


def test_a_live_feed_that_its_instruments_may_not_join_is_not_left_behind(home: Feed) -> None:
    with held_position("BTCUSDT"), pytest.raises(FeedBusy):
        go_live(symbols=["BTCUSDT"], exchange="binance", timeframe=300)
    assert list(Feed.objects.values_list("name", flat=True)) == ["simulated"]


@pytest.fixture
def announced() -> Iterator[list[int]]:
    """The feeds (ids) of which the pages hear that they changed."""
    seen: list[int] = []

    def receive(feed_id: int, **_: object) -> None:
        seen.append(feed_id)

    feed_changed.connect(receive)
    yield seen
    feed_changed.disconnect(receive)


SWITCHES: dict[str, Callable[[Feed], object]] = {
    "on": lambda feed: services.set_feed_enabled(feed=feed, enabled=True),
    "off": lambda feed: services.set_feed_enabled(feed=feed, enabled=False),
    "live again": lambda feed: go_live(symbols=["BTCUSDT"], exchange="binance", timeframe=300),
}


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES)
def test_pages_hear_of_a_feed_that_is_switched(
    home: Feed, announced: list[int], switch: Callable[[Feed], object]
) -> None:
    feed, _ = go_live(symbols=["BTCUSDT"], exchange="binance", timeframe=300)
    Feed.objects.filter(pk=feed.pk).update(enabled=False)
    announced.clear()
    switch(feed)
    assert set(announced) == {feed.pk}


def test_pages_hear_of_the_end_of_a_replay(replayable: Feed, announced: list[int]) -> None:
    start_replay(symbols=["BTCUSDT"], start=DATA)
    announced.clear()
    stop_replay()
    assert set(announced) == {replayable.pk, Feed.objects.get(name=feed_control.REPLAY_FEED).pk}
