"""Coordinates of the plots of a model's report, drawn by the server as SVG. Pure: numbers in, numbers out.

A plot is `PLOT_WIDTH` × `PLOT_HEIGHT` with room for its labels at the left and below; it is scaled as a whole.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.charts.svg import Axis
from mlmodels.pipeline.report import Curve, Importance, ReliabilityBin

PLOT_WIDTH, PLOT_HEIGHT = 420.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 408.0, 10.0, 256.0
SMALLEST_DOT, LARGEST_DOT = 3.0, 8.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The axes of a plot: values to positions, with ticks."""

    x: Axis
    y: Axis
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]

    def x_at(self, value: float) -> float:
        """Return where `value` lies between the left and the right edge."""
        return round(LEFT + self.x.at(value), 1)

    def y_at(self, value: float) -> float:
        """Return where `value` lies between the lower and the upper edge."""
        return round(BOTTOM - self.y.at(value), 1)

    def line(self, points: Iterable[tuple[float, float]]) -> str:
        """Return the points of a polyline."""
        return " ".join(f"{self.x_at(x):g},{self.y_at(y):g}" for x, y in points)


def percent_steps(end: float) -> list[float]:
    """Return at most six even steps from 0 to at least `end`, in fractions of one."""
    step = next((width for width in (0.02, 0.05, 0.1, 0.2) if end <= width * 5 + 1e-9), 0.25)
    return [step * index for index in range(max(1, math.ceil(end / step - 1e-9)) + 1)]


def frame(x_end: float, y_end: float) -> Frame:
    """Return axes of shares that begin at 0 and reach at least the two ends."""
    x_steps, y_steps = percent_steps(x_end), percent_steps(y_end)
    x, y = Axis(0.0, x_steps[-1], RIGHT - LEFT), Axis(0.0, y_steps[-1], BOTTOM - TOP)
    return Frame(
        x,
        y,
        tuple(Tick(round(LEFT + x.at(value), 1), f"{value * 100:.0f} %") for value in x_steps),
        tuple(Tick(round(BOTTOM - y.at(value), 1), f"{value * 100:.0f} %") for value in y_steps),
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """One bin: where it lies, its interval, and how large it is drawn by its rows."""

    x: float
    y: float
    low_y: float
    high_y: float
    radius: float
    bin: ReliabilityBin


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted probability against observed frequency; on the diagonal both are equal."""

    frame: Frame
    dots: tuple[Dot, ...]
    line: str
    diagonal: str


def reliability(bins: Sequence[ReliabilityBin]) -> Reliability | None:
    """Lay out a reliability diagram, both axes alike; None without a bin."""
    if not bins:
        return None
    end = max(max(row["mean"], row["high"]) for row in bins)
    axes = frame(end, end)
    most = max(row["n"] for row in bins)
    dots = tuple(
        Dot(
            axes.x_at(row["mean"]),
            axes.y_at(row["rate"]),
            axes.y_at(row["low"]),
            axes.y_at(row["high"]),
            round(SMALLEST_DOT + (LARGEST_DOT - SMALLEST_DOT) * math.sqrt(row["n"] / max(most, 1)), 1),
            row,
        )
        for row in bins
    )
    corner = axes.x.end
    return Reliability(
        axes,
        dots,
        axes.line((row["mean"], row["rate"]) for row in bins),
        axes.line([(0.0, 0.0), (corner, corner)]),
    )


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """The precision–recall curve, the left-move baseline's, and the line of guessing."""

    frame: Frame
    model: str
    left_move: str
    base_y: float
    chosen_x: float | None
    chosen_y: float | None


def precision_recall(
    curve: Curve,
    left_move: Curve,
    base_rate: float,
    chosen: tuple[float | None, float | None] = (None, None),
) -> PrecisionRecall | None:
    """Lay out curves of [recall, precision]; `chosen` is recall and precision at the threshold that is used."""
    if not curve:
        return None
    axes = frame(1.0, max(precision for _, precision in [*curve, *left_move]))
    recall, precision = chosen
    known = recall is not None and precision is not None
    return PrecisionRecall(
        frame=axes,
        model=axes.line((point[0], point[1]) for point in curve),
        left_move=axes.line((point[0], point[1]) for point in left_move),
        base_y=axes.y_at(base_rate),
        chosen_x=axes.x_at(recall or 0.0) if known else None,
        chosen_y=axes.y_at(precision or 0.0) if known else None,
    )


@dataclass(frozen=True, slots=True)
class WideBar:
    """A bar from zero, in [0, drawing.WIDTH], with the span it may really have."""

    name: str
    value: float
    x: float
    width: float
    low_x: float
    high_x: float
    direction: str

    @property
    def span(self) -> float:
        """Width of the interval."""
        return round(self.high_x - self.low_x, 1)


def wide_bars(rows: Sequence[tuple[str, float, float, float]]) -> tuple[tuple[WideBar, ...], float]:
    """Lay out (name, value, low, high) on one axis that holds zero; return the bars and where zero is."""
    if not rows:
        return (), 0.0
    low = min(0.0, *(row[2] for row in rows))
    high = max(0.0, *(row[3] for row in rows))
    axis = Axis(low, high if high > low else low + 1.0)
    zero = axis.at(0.0)
    return tuple(_wide_bar(axis, zero, *row) for row in rows), zero


def _wide_bar(axis: Axis, zero: float, name: str, value: float, low: float, high: float) -> WideBar:
    left, right = sorted((zero, axis.at(value)))
    direction = "up" if value > 0 else "down" if value < 0 else ""
    return WideBar(name, value, left, round(right - left, 1), axis.at(low), axis.at(high), direction)


def importance(rows: Sequence[Importance]) -> tuple[tuple[WideBar, ...], float]:
    """Lay out permutation importance, largest first, with its spread on both sides."""
    largest_first = sorted(rows, key=lambda row: -row["mean"])
    return wide_bars(
        [
            (row["feature"], row["mean"], row["mean"] - row["spread"], row["mean"] + row["spread"])
            for row in largest_first
        ]
    )


@dataclass(frozen=True, slots=True)
class Week:
    """A week's skill: where it lies, its interval, and words about it. `y` is None where it is unknown."""

    x: float
    y: float | None
    low_y: float | None
    high_y: float | None
    label: str
    text: str
    direction: str


@dataclass(frozen=True, slots=True)
class Skill:
    """Skill week by week around the zero line: above, it beats the constant forecast.

    `lines` are the pieces between the weeks whose skill is not known; `unknown` counts those.
    """

    weeks: tuple[Week, ...]
    lines: tuple[str, ...]
    unknown: int
    zero_y: float
    y_ticks: tuple[Tick, ...]
    promised_y: float | None


def skill(
    weeks: Sequence[tuple[str, str, float | None, float | None, float | None]], promised: float | None
) -> Skill | None:
    """Lay out (label, text, skill, low, high) of each week, oldest first, those without a skill too.

    `promised` is the held-out skill.
    """
    values = [value for week in weeks for value in week[2:] if value is not None]
    if not values:
        return None
    low, high = skill_range([*values, *([promised] if promised is not None else [])])
    axis = Axis(low, high, BOTTOM - TOP)

    def y_at(value: float | None) -> float | None:
        return None if value is None else round(BOTTOM - axis.at(value), 1)

    step = (RIGHT - LEFT) / len(weeks)
    drawn = tuple(
        Week(
            round(LEFT + (index + 0.5) * step, 1), y_at(value), y_at(lower), y_at(upper), label, text,
            "down" if value is not None and value < 0 else "up",
        )
        for index, (label, text, value, lower, upper) in enumerate(weeks)
    )  # fmt: skip
    ticks = tuple(
        Tick(y_at(value) or 0.0, f"{value * 100:+.0f} %".replace("-", "−") if value else "0")
        for value in skill_steps(low, high)
    )
    unknown = sum(week.y is None for week in drawn)
    return Skill(drawn, _pieces(drawn), unknown, y_at(0.0) or 0.0, ticks, y_at(promised))


def _pieces(weeks: Sequence[Week]) -> tuple[str, ...]:
    """Return the points of the line, a new piece after each week whose skill is not known."""
    known = itertools.groupby(weeks, key=lambda week: week.y is not None)
    return tuple(" ".join(f"{week.x:g},{week.y:g}" for week in piece) for is_known, piece in known if is_known)


def skill_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis in tenths that holds 0 and all `values`, none below −1."""
    low = min(0.0, *values)
    return max(-1.0, math.floor(low * 10 - 1e-9) / 10), math.ceil(max(0.1, *values) * 10 - 1e-9) / 10


def skill_steps(low: float, high: float) -> list[float]:
    """Return round values from `low` to `high`, 0 among them, at most seven."""
    step = next(width for width in (0.1, 0.2, 0.5, 1.0) if (high - low) / width <= 6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * index, 2) for index in range(first, last + 1)]
