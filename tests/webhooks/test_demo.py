"""The demo strategy: what it sees in the candles, and that each cross is posted once through the real door."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from algotrendy.isolation.models import RowFailure
from market.models import Candle, Feed, Instrument, MarketKind
from market.services import ensure_instrument
from tests.support.market import set_quote
from tests.support.webhooks import Gate, committed, open_gate
from webhooks import addresses, inbox
from webhooks import demo as strategy
from webhooks.demo import BARS, FRESH_BARS, crossing, message, newest_cross
from webhooks.models import Alert
from webhooks.services import create_demo_source, demo_token
from webhooks.tasks import demo

__all__ = ["committed"]

START = datetime(2026, 1, 1, tzinfo=UTC)


def candles(instrument: Instrument, closes: list[float]) -> None:
    """Store 5-second candles that end at these prices, and the quote after the last."""
    Candle.objects.filter(instrument=instrument).delete()
    Candle.objects.bulk_create(
        Candle(
            instrument=instrument, timeframe=5, open_time=START + timedelta(seconds=5 * number), open=close,
            high=close, low=close, close=close, volume=1, kind=MarketKind.SIMULATED,
        )
        for number, close in enumerate(closes)
    )  # fmt: skip
    set_quote(
        instrument=instrument,
        price=Decimal(str(closes[-1])),
        timeframe=5,
        kind=MarketKind.SIMULATED,
        market_time=START + timedelta(seconds=5 * len(closes)),
    )


FALL = [100 - 0.1 * number for number in range(60)]
RISE = [94 + 0.5 * number for number in range(12)]


@pytest.fixture
def instrument(db: None) -> Instrument:
    feed = Feed.objects.create(name="simulated", driver=Feed.Driver.SIMULATOR, timeframe=5)
    instrument = ensure_instrument("BTCUSDT")
    Instrument.objects.filter(pk=instrument.pk).update(feed=feed)
    return Instrument.objects.get(pk=instrument.pk)


def test_averages_cross_where_the_trend_turns() -> None:
    above = crossing(np.array(FALL + RISE))
    turns = np.flatnonzero(above[1:] != above[:-1])
    assert len(turns) == 1
    assert not above[0]
    assert above[-1]
    assert len(crossing(np.array(FALL[:20]))) == 0


def test_the_newest_cross_is_found_with_its_bar_and_age(instrument: Instrument) -> None:
    candles(instrument, FALL + RISE)
    cross = newest_cross(instrument)
    assert cross is not None
    assert cross.is_up
    assert len(FALL) * 5 <= cross.bar - START.timestamp() < (len(FALL) + len(RISE)) * 5
    assert cross.age == len(FALL + RISE) - 1 - (cross.bar - START.timestamp()) / 5
    assert len(FALL + RISE) < BARS


def test_no_cross_is_seen_without_candles_or_turn(instrument: Instrument) -> None:
    assert newest_cross(instrument) is None
    candles(instrument, FALL)
    assert newest_cross(Instrument.objects.get()) is None


def test_the_message_is_shaped_like_tradingviews(instrument: Instrument) -> None:
    candles(instrument, FALL + RISE)
    cross = newest_cross(instrument)
    assert cross is not None
    alert = message(cross, "")
    assert alert["id"] == f"demo-BTCUSDT-{cross.bar}"
    assert (alert["ticker"], alert["interval"], alert["order_action"]) == ("BTCUSDT", "5S", "buy")
    assert (alert["market_position"], alert["prev_market_position"]) == ("long", "flat")


@pytest.fixture
def gate(committed: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    with open_gate() as gate:
        monkeypatch.setattr(addresses, "local_url", lambda: gate.url)
        yield gate


@pytest.fixture
def market(committed: None) -> Instrument:
    feed = Feed.objects.create(name="simulated", driver=Feed.Driver.SIMULATOR, timeframe=5)
    instrument = ensure_instrument("BTCUSDT")
    Instrument.objects.filter(pk=instrument.pk).update(feed=feed)
    return Instrument.objects.get(pk=instrument.pk)


def test_without_a_demo_source_nothing_is_posted(gate: Gate, market: Instrument) -> None:
    candles(market, FALL + RISE)
    assert demo() == 0


def test_each_cross_is_posted_once_and_decided(gate: Gate, market: Instrument) -> None:
    create_demo_source()
    candles(market, FALL + RISE)
    assert [demo(), demo(), demo()] == [1, 0, 0]
    inbox.drain()
    alert = Alert.objects.select_related("decision").get()
    assert (alert.state, alert.decision.action, alert.intent) == ("decided", "BUY", "long")
    assert gate.nudges
    # The trend turns: the strategy closes, or reverses, with its next alert.
    down = [RISE[-1] - number for number in range(8)]
    candles(market, FALL + RISE + down)
    assert [demo(), demo()] == [1, 0]
    inbox.drain()
    last = Alert.objects.latest("id")
    assert last.intent in {"flat", "short"}
    assert last.parsed["previous_position"] == "long"
    assert last.duplicates == 0


def test_a_new_demo_begins_with_the_last_cross_however_old(gate: Gate, market: Instrument) -> None:
    create_demo_source()
    candles(market, FALL + RISE + [RISE[-1]] * (FRESH_BARS + 5))
    assert demo() == 1


def test_a_cross_that_was_missed_is_not_posted_late(gate: Gate, market: Instrument) -> None:
    create_demo_source()
    candles(market, FALL + RISE)
    demo()
    inbox.drain()
    candles(market, FALL + RISE + [RISE[-1] - number for number in range(20)] + [RISE[-1] - 20] * FRESH_BARS)
    assert demo() == 0


def test_a_closed_door_is_tried_again(
    committed: None, market: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_demo_source()
    candles(market, FALL + RISE)
    monkeypatch.setattr(addresses, "local_url", lambda: "http://127.0.0.1:9")
    assert demo() == 0
    with open_gate() as gate:
        monkeypatch.setattr(addresses, "local_url", lambda: gate.url)
        assert demo() == 1


def test_the_demos_token_opens_the_door(gate: Gate, market: Instrument) -> None:
    create_demo_source()
    assert gate.post({"symbol": "BTCUSDT", "action": "buy"}, token=demo_token()).status_code == 202


@pytest.mark.django_db
def test_an_instrument_that_can_not_be_looked_at_keeps_no_other_from_trading(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ensure_instrument("ETHUSDT")
    Instrument.objects.filter(pk=odd.pk).update(feed=instrument.feed)
    candles(instrument, FALL + RISE)
    create_demo_source()
    posted: list[str] = []

    def post(client: object, url: str, cross: strategy.Cross, prior: str) -> int:
        posted.append(str(cross.instrument))
        return 1

    def look(row: Instrument) -> strategy.Cross | None:
        if row.pk == odd.pk:
            raise ValueError("odd")
        return newest_cross(row)

    monkeypatch.setattr(strategy, "newest_cross", look)
    monkeypatch.setattr(strategy, "_post", post)
    assert strategy.post_crosses() == 1
    assert posted == ["BTCUSDT"]
    assert RowFailure.objects.get().key == str(odd.pk)
