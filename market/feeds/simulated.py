"""The simulator as a feed: real time, short candles, a history from the start."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from market.bars import Bars
from market.feeds import simulator
from market.feeds.base import Tick, Window
from market.feeds.simulator import Floats, State
from market.models import Candle, Feed, Gap, Instrument, MarketKind
from market.services import NewCandle, NewQuote, require_one_market

BACKFILL = 2_000  # candles: what a new instrument begins with, and how far a pause is caught up
DEFAULT_SPEED = 60.0  # a 5-second candle moves like five minutes of a real market


class SimulatorDriver:
    """Settings: `seed` (1), `speed` (how many seconds of movement a second brings, 60), `regimes` (true),
    `history` (candles: what a new instrument begins with, and how far a pause is caught up; 2,000).

    `progress` holds each symbol's state and the open time of its next bar, so that a restart goes on where the
    last commit ended.
    """

    def __init__(self, feed: Feed) -> None:
        settings = feed.settings
        self.seed = int(settings.get("seed", 1))
        self.bar_seconds = feed.timeframe * float(settings.get("speed", DEFAULT_SPEED))
        self.regimes = bool(settings.get("regimes", True))
        self.history = max(1, int(settings.get("history", BACKFILL)))
        self.checked: set[int] = set()

    def close(self) -> None:
        """Nothing is held."""

    def step(self, feed: Feed, instruments: Sequence[Instrument], now: float) -> Tick:
        """Return the bars that closed since the last step."""
        self._check(feed, instruments)
        end = int(now) // feed.timeframe * feed.timeframe  # the open time of the forming bar
        known = feed.progress.get("assets", {}) if feed.progress.get("timeframe") == feed.timeframe else {}
        candles: list[NewCandle] = []
        windows, quotes, closed, assets = [], [], {}, {}
        for instrument in instruments:
            state, begin, jumped = self._resume(feed, instrument, known.get(instrument.symbol), end)
            if begin < end:
                bars, state = self._make(feed, instrument, state, begin, end)
                candles += bars
                quotes.append(NewQuote(instrument.id, bars[-1].close, _time(end)))
                closed[instrument.id] = bars[-1].open_time
            if jumped:
                windows.append(Window(instrument.id, _time(begin), _time(begin), Gap.State.EXCHANGE, True))
            assets[instrument.symbol] = {**asdict(state), "next": max(begin, end)}
        return Tick(
            due=end + feed.timeframe, candles=candles, quotes=quotes, closed=closed, windows=windows,
            clock=_time(end), progress={"timeframe": feed.timeframe, "assets": assets},
        )  # fmt: skip

    def _check(self, feed: Feed, instruments: Iterable[Instrument]) -> None:
        new = {instrument.id for instrument in instruments} - self.checked
        if new:
            require_one_market(instrument_ids=new, timeframe=feed.timeframe, kind=MarketKind.SIMULATED)
            self.checked |= new

    def _resume(
        self, feed: Feed, instrument: Instrument, known: Mapping[str, Any] | None, end: int
    ) -> tuple[State, int, bool]:
        """Return the state to go on from, the open time of the next bar, and whether bars are left out."""
        earliest = end - self.history * feed.timeframe
        if known:
            state, begin = State(**{key: known[key] for key in known if key != "next"}), int(known["next"])
        else:
            state, begin = self._begin(feed, instrument, earliest)
        return state, max(begin, earliest), begin < earliest

    def _begin(self, feed: Feed, instrument: Instrument, earliest: int) -> tuple[State, int]:
        """Return where an instrument that comes (back) to this feed begins: after its last candle, if any."""
        what = simulator.asset(instrument.symbol)
        series = Candle.objects.filter(instrument=instrument, timeframe=feed.timeframe)
        last = series.order_by("-open_time").first()
        if last is None:
            return simulator.first_state(what), earliest
        return simulator.first_state(what, float(last.close)), int(last.open_time.timestamp()) + feed.timeframe

    def _make(
        self, feed: Feed, instrument: Instrument, state: State, begin: int, end: int
    ) -> tuple[list[NewCandle], State]:
        walk, state = simulator.walk(
            simulator.asset(instrument.symbol), seed=self.seed, start=begin // feed.timeframe,
            count=(end - begin) // feed.timeframe, state=state, bar_seconds=self.bar_seconds, regimes=self.regimes,
        )  # fmt: skip
        return rounded(instrument, walk, begin, feed.timeframe), state


def rounded(instrument: Instrument, bars: simulator.Walk | Bars, begin: int, timeframe: int) -> list[NewCandle]:
    """Return candles from open time `begin` (seconds) on, in the instrument's ticks and steps.

    Rounding keeps the order of prices, so a candle stays a candle; no price falls below one tick.
    """
    tick, step = instrument.tick_size, instrument.step_size
    prices = [_in_steps(column, tick, at_least=1) for column in (bars.open, bars.high, bars.low, bars.close)]
    volumes = _in_steps(bars.volume, step, at_least=0)
    return [
        NewCandle(instrument.id, _time(begin + number * timeframe), *values)
        for number, values in enumerate(zip(*prices, volumes, strict=True))
    ]


def _in_steps(values: Floats, size: Decimal, at_least: int) -> list[Decimal]:
    scale = float(size)
    return [max(round(value / scale), at_least) * size for value in values.tolist()]


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
