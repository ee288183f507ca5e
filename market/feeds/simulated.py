"""The simulator as a feed: real time, short candles, a history from the start."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from market.bars import Bars, bar_start
from market.feeds import simulator
from market.feeds.base import Tick, Window
from market.feeds.isolating import MAKE, each_instrument, work_of
from market.feeds.settings import require_usable
from market.feeds.simulator import Floats, State
from market.models import Candle, Feed, Gap, Instrument, MarketKind
from market.services import NewCandle, NewQuote, require_one_market

BACKFILL = 2_000  # candles: what a new instrument begins with, and how far a pause is caught up
DEFAULT_SPEED = 60.0  # a 5-second candle moves like five minutes of a real market


class Stretch(NamedTuple):
    """The bars of one instrument that closed since the last step, and the state to go on from."""

    instrument: Instrument
    candles: list[NewCandle]
    state: dict[str, object]
    window: Window | None


class SimulatorDriver:
    """Settings: `seed` (1), `speed` (how many seconds of movement a second brings, 60), `regimes` (true),
    `history` (candles: what a new instrument begins with, and how far a pause is caught up; 2,000).

    `progress` holds each symbol's state and the open time of its next bar, so that a restart goes on where the
    last commit ended.
    """

    def __init__(self, feed: Feed) -> None:
        require_usable(feed)
        settings = feed.settings
        self.seed = int(settings.get("seed", 1))
        self.bar_seconds = feed.timeframe * float(settings.get("speed", DEFAULT_SPEED))
        self.regimes = bool(settings.get("regimes", True))
        self.history = max(1, int(settings.get("history", BACKFILL)))
        self.checked: set[int] = set()

    def close(self) -> None:
        """Nothing is held."""

    def step(self, feed: Feed, instruments: Sequence[Instrument], now: float) -> Tick:
        """Return the bars that closed since the last step; an instrument that fails keeps its state."""
        end = int(bar_start(_time(int(now)), feed.timeframe).timestamp())  # the open time of the forming bar
        known = feed.progress.get("assets", {}) if feed.progress.get("timeframe") == feed.timeframe else {}
        work = work_of(MAKE, feed)
        stretches, problem = each_instrument(
            work, instruments, lambda one: self._stretch(feed, one, known.get(one.symbol), end), lambda one: one
        )
        kept = {one.symbol: known[one.symbol] for one in instruments if one.symbol in known}
        stretched = [stretch for stretch in stretches if stretch.candles]
        return Tick(
            due=end + feed.timeframe,
            candles=[candle for stretch in stretched for candle in stretch.candles],
            quotes=[NewQuote(one.instrument.id, one.candles[-1].close, _time(end)) for one in stretched],
            closed={stretch.instrument.id: stretch.candles[-1].open_time for stretch in stretched},
            windows=[stretch.window for stretch in stretches if stretch.window],
            clock=_time(end), progress=_progress(feed, kept, stretches),
            progress_without=lambda failed: _progress(feed, kept, _except(stretches, failed)), problem=problem,
        )  # fmt: skip

    def _stretch(self, feed: Feed, instrument: Instrument, known: Mapping[str, Any] | None, end: int) -> "Stretch":
        self._check(feed, instrument)
        state, begin, jumped = self._resume(feed, instrument, known, end)
        candles: list[NewCandle] = []
        if begin < end:
            candles, state = self._make(feed, instrument, state, begin, end)
        window = Window(instrument.id, _time(begin), _time(begin), Gap.State.EXCHANGE, True) if jumped else None
        return Stretch(instrument, candles, {**asdict(state), "next": max(begin, end)}, window)

    def _check(self, feed: Feed, instrument: Instrument) -> None:
        if instrument.id not in self.checked:
            kind = MarketKind.SIMULATED
            require_one_market(instrument_ids=[instrument.id], timeframe=feed.timeframe, kind=kind)
            self.checked.add(instrument.id)

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


def _except(stretches: Sequence[Stretch], failed: Collection[int]) -> list[Stretch]:
    return [stretch for stretch in stretches if stretch.instrument.id not in failed]


def _progress(feed: Feed, kept: Mapping[str, Any], stretches: Sequence[Stretch]) -> dict[str, object]:
    """Return what is kept of the feed: new states, and for instruments without one those of before."""
    new = {stretch.instrument.symbol: stretch.state for stretch in stretches}
    return {"timeframe": feed.timeframe, "assets": {**kept, **new}}


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
