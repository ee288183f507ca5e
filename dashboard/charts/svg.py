"""Coordinates of the small pictures that the server draws as SVG. Pure: numbers in, numbers out.

Widths run from 0 to `WIDTH`; the templates stretch them to the space there is.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WIDTH = 1000.0
PATH_HEIGHT = 200.0
# Percent of a run's height that a line of text takes, and how its bars are numbered.
LABEL_HEIGHT = 9.0
MOST_TICKS = 8
TICK_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, slots=True)
class Bar:
    """One step from the base rate to the confidence. Positions are in [0, WIDTH], probabilities in [0, 1]."""

    name: str
    wins: int | None
    cases: int | None
    mean: float
    change: float | None
    x: float
    width: float
    direction: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Bars from base rate to confidence on one axis, with the interval and the break-even mark."""

    bars: tuple[Bar, ...]
    confidence: float
    low: float
    high: float
    break_even: float | None
    confidence_x: float
    low_x: float
    high_x: float
    break_even_x: float | None
    start: float
    end: float

    @property
    def interval_width(self) -> float:
        """Width of the interval."""
        return round(max(self.high_x - self.low_x, 2.0), 1)

    @property
    def dot_x(self) -> float:
        """Left edge of the mark at the confidence, inside the drawing."""
        return min(max(self.confidence_x - 4, 0.0), WIDTH - 8)

    @property
    def verdict(self) -> str:
        """Whether the confidence pays: up or down, nothing where there is no break-even."""
        if self.break_even is None:
            return ""
        return "up" if self.confidence > self.break_even else "down"


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale from values to positions."""

    start: float
    end: float
    size: float = WIDTH

    def at(self, value: float) -> float:
        """Return the position of `value`, held inside the drawing."""
        share = (value - self.start) / (self.end - self.start)
        return round(min(max(share, 0.0), 1.0) * self.size, 1)


def probability_axis(values: Iterable[float]) -> Axis:
    """Return an axis in steps of 10 % that holds all `values` with room on both sides."""
    known = list(values)
    start = max(0.0, int(min(known) * 10 - 0.3) / 10)
    end = min(1.0, (int(max(known) * 10 + 0.3) + 1) / 10)
    return Axis(start, max(end, start + 0.1))


def waterfall(
    base: float,
    levels: Sequence[tuple[str, int, int, float]],
    confidence: tuple[float, float, float],
    break_even: float | None,
) -> Waterfall:
    """Lay out the way from `base` through `levels` (name, wins, cases, mean after it) to the confidence.

    `confidence` is (mean, low, high). A break-even above 1 stands at the right edge.
    """
    mean, low, high = confidence
    means = [level[3] for level in levels]
    axis = probability_axis([base, mean, low, high, *means, *([min(break_even, 1.0)] if break_even else [])])
    bars = [Bar("Base rate", None, None, base, None, 0.0, axis.at(base), "base")]
    before = base
    for name, wins, cases, after in levels:
        left, right = sorted((axis.at(before), axis.at(after)))
        direction = "up" if after > before else "down" if after < before else "flat"
        bars.append(Bar(name, wins, cases, after, after - before, left, max(right - left, 3.0), direction))
        before = after
    return Waterfall(
        bars=tuple(bars),
        confidence=mean,
        low=low,
        high=high,
        break_even=break_even,
        confidence_x=axis.at(mean),
        low_x=axis.at(low),
        high_x=axis.at(high),
        break_even_x=None if break_even is None else min(axis.at(break_even), WIDTH - 2),
        start=axis.start,
        end=axis.end,
    )


@dataclass(frozen=True, slots=True)
class RunBar:
    """One candle of the outcome, drawn from its low to its high with its close marked."""

    x: float
    top: float
    bottom: float
    close: float


@dataclass(frozen=True, slots=True)
class BarTick:
    """A labelled bar on the axis below a run. `at` is in percent of the width."""

    at: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Hole:
    """A span of bars without a candle, from edge to edge."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Run:
    """How the price ran after the decision, between stop and target, up to the horizon.

    `lines` are the pieces of its path, none across a hole; `missing` counts the bars in the holes.
    """

    bars: tuple[RunBar, ...]
    lines: tuple[str, ...]
    holes: tuple[Hole, ...]
    missing: int
    entry_y: float
    stop_y: float
    target_y: float
    now_x: float
    ticks: tuple[BarTick, ...]
    labels: dict[str, float]

    @property
    def up_top(self) -> float:
        """Top of the zone between entry and target."""
        return min(self.entry_y, self.target_y)

    @property
    def up_height(self) -> float:
        """Height of the zone between entry and target."""
        return round(abs(self.entry_y - self.target_y), 1)

    @property
    def down_top(self) -> float:
        """Top of the zone between entry and stop."""
        return min(self.entry_y, self.stop_y)

    @property
    def down_height(self) -> float:
        """Height of the zone between entry and stop."""
        return round(abs(self.entry_y - self.stop_y), 1)


def run(
    candles: Sequence[tuple[int, float, float, float]],
    *,
    entry: float,
    stop: float,
    target: float,
    horizon: int,
) -> Run:
    """Lay out `candles` (bar, high, low, close), oldest first, against the barriers.

    `bar` counts from 0, the first bar after the decision: a candle stands at its time, also after a hole. The x
    axis ends at the horizon.
    """
    numbers = [candle[0] for candle in candles]
    prices = [entry, stop, target, *(price for candle in candles for price in candle[1:3])]
    margin = (max(prices) - min(prices)) * 0.08 or 1.0
    axis = Axis(max(prices) + margin, min(prices) - margin, PATH_HEIGHT)
    end = max(horizon, max(numbers, default=0) + 1, 1)
    step = WIDTH / end
    bars = [
        RunBar(round((bar + 0.5) * step, 1), axis.at(high), axis.at(low), axis.at(close))
        for bar, high, low, close in candles
    ]
    gaps = _gaps(numbers)
    levels = {"target": axis.at(target), "entry": axis.at(entry), "stop": axis.at(stop)}
    return Run(
        tuple(bars),
        _pieces(bars, numbers, axis.at(entry)),
        tuple(Hole(round(first * step, 1), round(count * step, 1)) for first, count in gaps),
        sum(count for _, count in gaps),
        levels["entry"],
        levels["stop"],
        levels["target"],
        round((max(numbers, default=-1) + 1) * step, 1),
        bar_ticks(end),
        price_labels(levels),
    )


def _gaps(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return (first, count) of the bars that are missing before the last of `numbers`."""
    before = [-1, *numbers]
    return [(last + 1, bar - last - 1) for last, bar in zip(before, numbers, strict=False) if bar > last + 1]


def _pieces(bars: Sequence[RunBar], numbers: Sequence[int], entry_y: float) -> tuple[str, ...]:
    """Return the points of the path from the entry on, a new piece after each hole."""
    pieces, last = [[(0.0, entry_y)]], -1
    for bar, number in zip(bars, numbers, strict=True):
        if number > last + 1:
            pieces.append([])
        pieces[-1].append((bar.x, bar.close))
        last = number
    return tuple(" ".join(f"{x:g},{y:g}" for x, y in piece) for piece in pieces)


def bar_ticks(bars: int) -> tuple[BarTick, ...]:
    """Return bar 0, the last one, and between them round numbers with room for each label."""
    step = next((width for width in TICK_STEPS if bars / width <= MOST_TICKS), math.ceil(bars / MOST_TICKS))
    inner = [bar for bar in range(step, bars, step) if bars - bar >= step / 2]
    return (
        BarTick(0.0, "0", "start"),
        *(BarTick(round(bar / bars * 100, 1), str(bar), "middle") for bar in inner),
        BarTick(100.0, str(bars), "end"),
    )


def price_labels(levels: Mapping[str, float]) -> dict[str, float]:
    """Return where the price of each level is written, in percent of the height: never one on another."""
    names = sorted(levels, key=lambda name: levels[name])
    places = [levels[name] / PATH_HEIGHT * 100 for name in names]
    top, bottom = LABEL_HEIGHT / 2, 100 - LABEL_HEIGHT / 2
    for index, place in enumerate(places):
        places[index] = max(place, top + index * LABEL_HEIGHT, places[index - 1] + LABEL_HEIGHT if index else 0.0)
    for index in reversed(range(len(places))):
        places[index] = min(places[index], bottom)
        bottom = places[index] - LABEL_HEIGHT
    return {name: round(place, 1) for name, place in zip(names, places, strict=True)}
