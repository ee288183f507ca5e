"""Starting and stopping replays and going live: which instruments move, and what is refused in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from market import selectors, services
from market.feed_control import NothingToReplay, go_live, start_replay, stop_replay
from market.models import Feed, Instrument, MarketKind
from market.services import FeedBusy, NewCandle
from market.signals import feed_switching

pytestmark = pytest.mark.django_db
DATA = datetime(2025, 3, 1, tzinfo=UTC)


def simulated(*symbols: str) -> Feed:
    feed = Feed.objects.create(name="simulated", driver="simulator", timeframe=5)
    services.assign_feed(feed=feed, instruments=[services.ensure_instrument(symbol) for symbol in symbols])
    return feed


def imported(symbol: str, count: int) -> Instrument:
    instrument = services.ensure_instrument(symbol)
    candles = [
        NewCandle(instrument.id, DATA + timedelta(minutes=5 * number), *(Decimal(100 + number),) * 4, Decimal(1))
        for number in range(count)
    ]
    services.store_candles(candles=candles, timeframe=300, kind=MarketKind.IMPORTED)
    return instrument


def test_a_replay_under_way_is_ended_only_when_that_is_said() -> None:
    imported("BTCUSDT", 40)
    imported("ETHUSDT", 40)
    call_command("replay", "BTCUSDT", "--from", "2025-03-01", stdout=StringIO())
    with pytest.raises(CommandError, match=r"a replay of BTCUSDT is under way at 2025-03-01 00:00 UTC.*--replace"):
        call_command("replay", "ETHUSDT", "--from", "2025-03-01", stdout=StringIO())
    assert list(Feed.objects.get(name="replay").instruments.values_list("symbol", flat=True)) == ["BTCUSDT"]
    call_command("replay", "ETHUSDT", "--from", "2025-03-01", "--replace", stdout=StringIO())
    assert list(Feed.objects.get(name="replay").instruments.values_list("symbol", flat=True)) == ["ETHUSDT"]
    stop_replay()
    start_replay()


def test_a_replay_of_nothing_says_what_is_missing() -> None:
    with pytest.raises(NothingToReplay, match="import_candles"):
        start_replay()
    imported("BTCUSDT", 3)
    with pytest.raises(NothingToReplay, match="of DOGE"):
        start_replay(symbols=["DOGE"])
    with pytest.raises(NothingToReplay, match="start before it"):
        start_replay(start=DATA + timedelta(days=1))


def test_an_open_position_forbids_the_replay() -> None:
    imported("BTCUSDT", 3)

    def forbid(**_: object) -> None:
        raise FeedBusy("BTCUSDT has an open position")

    feed_switching.connect(forbid)
    try:
        with pytest.raises(CommandError, match="open position"):
            call_command("replay", "BTCUSDT", stdout=StringIO())
    finally:
        feed_switching.disconnect(forbid)
    assert not Feed.objects.exists()


def test_the_replay_command_says_what_it_did() -> None:
    simulated("BTCUSDT")
    imported("BTCUSDT", 12 * 24 * 3)
    out = StringIO()
    call_command("replay", "--speed", "600", "--from", "2025-03-02", stdout=out)
    assert "Replaying BTCUSDT from 2025-03-02 00:00 to 2025-03-03 23:55 UTC at 600×" in out.getvalue()
    call_command("replay", "--stop", stdout=out)
    assert "BTCUSDT went back" in out.getvalue()
    for wrong in (["--from", "yesterday"], ["--speed", "0"], ["--speed", "nan"], ["--timeframe", "5x"]):
        with pytest.raises(CommandError):
            call_command("replay", *wrong, stdout=out)


def test_going_live_makes_a_feed_of_the_exchange_and_moves_the_instruments() -> None:
    simulated("BTCUSDT")
    feed, moved = go_live(symbols=["btc/usdt", "SOLUSDT"], exchange="binance", timeframe=300)
    assert (feed.driver, feed.settings, feed.timeframe) == ("live", {"exchange": "binance"}, 300)
    assert [one.symbol for one in moved] == ["BTCUSDT", "SOLUSDT"]
    assert go_live(symbols=["BTCUSDT"], exchange="binance", timeframe=300) == (feed, [])
    assert selectors.market_kinds() == {MarketKind.LIVE}
