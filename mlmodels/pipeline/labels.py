"""Labels: whether the close of a bar was a peak or a trough. Pure: arrays in, arrays out.

The inventory's rule: bar i is a *peak* when its close is above the lowest close of the `window` bars before it
and above the lowest of the `window` bars after it, both by the threshold; a *trough* when below both highest ones.
Half of that is known at bar i: where the left side holds, the bar is a *candidate* with a side. Only there is
anything to predict.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from market.bars import Bars
from market.indicators import talib
from mlmodels.pipeline.features import Floats, segments

Kind = Literal["fixed", "scaled"]
UNKNOWN, NOTHING, REVERSAL = -1, 0, 1
PEAK, NONE, TROUGH = 1, 0, -1


@dataclass(frozen=True)
class LabelRule:
    """How large a move counts.

    *fixed*: `threshold` is a fraction of the price. *scaled*: it counts standard deviations of a move of `window`
    bars, by the log-returns of the last `look_back` bars. `window` and `look_back` are in bars.
    """

    kind: Kind = "scaled"
    threshold: float = 1.0
    window: int = 5
    look_back: int = 288

    def __post_init__(self) -> None:
        if self.kind not in ("fixed", "scaled") or not self.threshold > 0:
            raise ValueError(f"a label needs a kind (fixed, scaled) and a threshold above 0, not {self}")
        if not 2 <= self.window <= 500 or not 20 <= self.look_back <= 5000:
            raise ValueError("a label's window is 2 to 500 bars, its look-back 20 to 5,000")

    @property
    def text(self) -> str:
        """The rule in words."""
        size = (
            f"{self.threshold * 100:g} %"
            if self.kind == "fixed"
            else f"{self.threshold:g} σ of a {self.window}-bar move"
        )
        return f"peak or trough of {size} within ±{self.window} bars"

    def as_json(self) -> dict[str, object]:
        """Return what is stored with a version."""
        return asdict(self)


PROFILES: dict[str, LabelRule] = {
    "default": LabelRule(),
    "strict": LabelRule(threshold=1.5),
    "half-percent": LabelRule("fixed", 0.005),
    "inventory": LabelRule("fixed", 0.02),
}


@dataclass(frozen=True)
class Labels:
    """Of each bar: the label (1 reversal, 0 none, -1 unknown), the side, and the left move over the threshold.

    `side` is 1 for a candidate peak, -1 for a candidate trough, 0 for neither or unknown; a bar that is both takes
    the larger move's. `excess` is 1 where the left move just reaches the threshold, NaN where it is unknown.
    """

    reversal: NDArray[np.int8]
    side: NDArray[np.int8]
    excess: Floats


def label(bars: Bars, timeframe: int, rule: LabelRule) -> Labels:
    """Return the labels of `bars`; windows that cross a gap are unknown. `timeframe` is in seconds.

    Raises BadCandles for bars out of order.
    """
    n = len(bars)
    labels = Labels(np.full(n, UNKNOWN, np.int8), np.zeros(n, np.int8), np.full(n, np.nan))
    for part in segments(bars.open_time, timeframe):
        if part.stop - part.start > rule.window:
            _label_stretch(bars.close[part], rule, labels, part)
    return labels


def left_side(bars: Bars, timeframe: int, rule: LabelRule) -> tuple[NDArray[np.int8], Floats]:
    """Return side and excess alone: what is known at each bar without looking ahead."""
    known = label(bars, timeframe, rule)
    return known.side, known.excess


def _label_stretch(close: Floats, rule: LabelRule, labels: Labels, part: slice) -> None:
    window = rule.window
    threshold = thresholds(close, rule)
    lowest, highest = talib.MIN(close, window), talib.MAX(close, window)
    # Moves against the bars before, of bar `window` on: lowest[i] covers i - window + 1 … i.
    middle = close[window:]
    rise, fall = middle / lowest[window - 1 : -1] - 1, 1 - middle / highest[window - 1 : -1]
    limit = threshold[window:]
    with np.errstate(invalid="ignore", divide="ignore"):
        peak, trough = rise > limit, fall > limit
        labels.excess[part][window:] = np.maximum(rise, fall) / limit
    side = np.where(rise >= fall, PEAK, TROUGH)
    labels.side[part][window:] = np.where(peak | trough, side, NONE)
    # And against the bars after it, as far as there are any.
    m = len(middle) - window
    if m <= 0:
        return
    after_low, after_high = lowest[2 * window :], highest[2 * window :]
    here, limit = middle[:m], limit[:m]
    with np.errstate(invalid="ignore"):
        falls = peak[:m] & (here / after_low - 1 > limit)
        rises = trough[:m] & (1 - here / after_high > limit)
    labels.reversal[part][window : window + m] = np.where(np.isnan(limit), UNKNOWN, falls | rises)


def thresholds(close: Floats, rule: LabelRule) -> Floats:
    """Return the threshold of each bar of a gap-free stretch as a fraction of the price; NaN while unknown.

    A price that does not move has no threshold: whatever it does next would be a reversal.
    """
    if rule.kind == "fixed":
        return np.full(len(close), rule.threshold)
    if len(close) <= rule.look_back:
        return np.full(len(close), np.nan)
    returns = np.zeros_like(close)  # the first one is made up
    np.log(close[1:] / close[:-1], out=returns[1:])
    spread = talib.STDDEV(returns, rule.look_back)
    spread[: rule.look_back] = np.nan
    spread[spread <= 0] = np.nan
    return np.asarray(rule.threshold * np.sqrt(rule.window) * spread)
