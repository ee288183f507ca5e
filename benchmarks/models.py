"""Models: features, labels and a whole honest training against AlgoTrendy 2.5's recipe.

Candles are those of ALGOTRENDY_CANDLES, else simulated ones (`benchmarks/_candles.py`). The sides of a ratio take
turns in one process, and the least of several times counts. Trees are grown by one thread, as in the worker.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from algotrendy.bench import Figure
from algotrendy.paths import BASE_DIR
from benchmarks import _v25_recipe as v25
from benchmarks._candles import TIMEFRAME, YEAR_ROWS, candles, last, repeated
from market.bars import Bars
from market.indicators import talib
from mlmodels.pipeline import dataset, estimators, features, labels, metrics
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.features import DESK_1, V25, Floats
from mlmodels.pipeline.labels import PROFILES
from mlmodels.pipeline.retrainer import ModelRetrainer, Trained
from mlmodels.pipeline.scoring import Scorer, score_bars
from mlmodels.pipeline.splits import Window

ROWS, LOOP_ROWS, TRAINING_ROWS = 1_000_000, 4_000, 45_000
ONE_BAR_ROWS, CALLS = 200, 20  # rows that 2.5 computed anew for one new bar
REPEATS = 7
BATCHES = (4, 1_000)
MOST_MEMORY = 1.5  # GB
END_TO_END = "from benchmarks.models import end_to_end; end_to_end()"


def run() -> Iterator[Figure]:
    """Measure everything; the two trainings last."""
    series, kind = candles()
    bars = repeated(next(iter(series.values())), ROWS)
    with threadpool_limits(1):
        yield from feature_figures(bars, kind)
        yield from one_bar_figures(bars)
        yield from label_figures(bars, kind)
        yield from prediction_figures(series)
        yield from retrain_figures(series, kind)
    yield from end_to_end_figures(kind)


def least(*sides: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Call the sides in turns and return the least time of each (seconds)."""
    best = [float("inf")] * len(sides)
    for _ in range(repeats):
        for number, side in enumerate(sides):
            began = time.perf_counter()
            side()
            best[number] = min(best[number], time.perf_counter() - began)
    return best


def at_least(name: str, value: float, goal: float, against: str) -> Figure:
    """Return a ratio that must not be smaller than `goal`."""
    return Figure(name, round(value, 2), "×", against, f"≥ {goal:g}", value >= goal)


def at_most(name: str, value: float, goal: float, unit: str, against: str) -> Figure:
    """Return a figure that must not be larger than `goal`."""
    return Figure(name, round(value, 4), unit, against, f"≤ {goal:g}", value <= goal)


def feature_figures(bars: Bars, kind: str) -> Iterator[Figure]:
    """The twelve features of 2.5 on a million rows, three ways."""
    df = v25.frame(bars)
    ours, bare_calls, pandas = least(
        lambda: features.compute(V25, bars, TIMEFRAME), lambda: bare(bars), lambda: v25.features(df)
    )  # fmt: skip
    yield Figure("features_rate", round(ROWS / ours), "rows/s", f"v25, {ROWS:,} rows, {kind}")
    yield at_least("features_against_pandas", pandas / ours, 4, f"2.5's pandas recipe took {pandas:.3f} s")
    yield at_most("features_against_talib", ours / bare_calls, 1.3, "×",
                  f"bare TA-Lib and numpy calls, whole columns, took {bare_calls:.3f} s")  # fmt: skip


def bare(bars: Bars) -> list[Floats]:
    """Call TA-Lib as one would who cares for nothing else: its RSI, its MACD, its bands; no gaps, no checks."""
    close, height = bars.close, bars.high - bars.low
    columns = [talib.SMA(close, period) for period in (5, 20, 50)]
    columns += [talib.RSI(close, 14), *talib.MACD(close, 12, 26, 9)]
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns += [(close - lower) / (upper - lower), bars.volume / talib.SMA(bars.volume, 20), height]
        columns += [(close - bars.low) / height, np.abs(close - bars.open) / height]
    return columns


def one_bar_figures(bars: Bars) -> Iterator[Figure]:
    """One new bar: the features of a live window against the whole recipe on as much as 2.5 kept."""
    window = features.slice_bars(bars, slice(V25.look_back + 1))
    df = v25.frame(features.slice_bars(bars, slice(ONE_BAR_ROWS)))
    # Many calls a turn: else each side is timed with the other's code and data in the processor's cache.
    ours, pandas = least(
        lambda: [features.compute(V25, window, TIMEFRAME) for _ in range(CALLS)],
        lambda: [v25.features(df) for _ in range(CALLS)],
        repeats=15,
    )
    ours, pandas = ours / CALLS * 1e6, pandas / CALLS * 1e6
    yield Figure("one_bar", round(ours, 1), "µs", f"v25 of the newest bar, from {len(window)} bars")
    against = f"2.5's recipe on {ONE_BAR_ROWS} bars took {pandas:,.0f} µs; {CALLS} calls a turn"
    yield at_least("one_bar_against_pandas", pandas / ours, 30, against)


def label_figures(bars: Bars, kind: str) -> Iterator[Figure]:
    """The inventory's labels: ours on a million rows, the loop on fewer, by row; equal where both were made."""
    rule, few = PROFILES["inventory"], features.slice_bars(bars, slice(LOOP_ROWS))
    df = v25.frame(few)
    ours, loop, array_loop = least(
        lambda: labels.label(bars, TIMEFRAME, rule),
        lambda: v25.reversals(df),
        lambda: v25.reversals_of_array(few.close),
        repeats=3,
    )
    ours, loop, array_loop = ours / ROWS * 1e6, loop / LOOP_ROWS * 1e6, array_loop / LOOP_ROWS * 1e6
    against = (
        f"µs a row: 2.5's loop over a frame {loop:.1f} ({LOOP_ROWS:,} rows), ours {ours:.3f} ({ROWS:,}), {kind}"
    )
    yield at_least("labels_against_loop", loop / ours, 200, against)
    yield Figure("labels_against_array_loop", round(array_loop / ours, 1), "×",
                 f"the same loop over an array, {array_loop:.1f} µs a row")  # fmt: skip
    ours_of_few = labels.label(few, TIMEFRAME, rule).reversal
    differ = int((np.maximum(ours_of_few, 0) != v25.reversals(df)).sum())
    yield Figure("labels_that_differ", differ, "rows", f"of {LOOP_ROWS:,}", "= 0", differ == 0)


def prediction_figures(series: dict[str, Bars]) -> Iterator[Figure]:
    """A closed bar of many instruments at once: features, side and one call of the model."""
    trained = ModelRetrainer(small_recipe(), DESK_1, TIMEFRAME, lambda: last(series, 12_000)).run()
    scorer = Scorer(trained.model, DESK_1, trained.recipe.label, TIMEFRAME)
    source, length = next(iter(series.values())), scorer.need + 8
    for count in BATCHES:
        starts = np.linspace(0, len(source) - length, count).astype(int).tolist()
        windows = [features.slice_bars(source, slice(start, start + length)) for start in starts]
        batch = [(number, bars, int(bars.open_time[-2])) for number, bars in enumerate(windows)]
        (took,) = least(lambda batch=batch: score_bars(scorer, batch))  # type: ignore[misc]
        against = f"one bar of {count:,} instruments, {took / count * 1e6:,.0f} µs each, without the database"
        yield Figure(f"prediction_of_{count}", round(took * 1e3, 2), "ms", against)


def small_recipe() -> Recipe:
    """Return a recipe for a model that only scores."""
    return Recipe(history_days=42, holdout_days=14, importance=False)


@dataclass(frozen=True)
class Inventory:
    """2.5's model: its twelve features on every row, its GradientBoosting; fitted on the same history as ours."""

    rows: dataset.Dataset
    held_out: dataset.Dataset

    def fit(self) -> estimators.Estimator:
        """Fit it once."""
        model = estimators.make("GradientBoosting", {}, v25.SEED)
        model.fit(self.rows.features, (self.rows.reversal == labels.REVERSAL).astype(np.int8))
        return model

    def losses(self, model: estimators.Estimator) -> Floats:
        """Return its log-loss of each held-out row."""
        return metrics.log_loss(self.held_out.reversal, estimators.probability(model, self.held_out.features))


def retrain_figures(series: dict[str, Bars], kind: str) -> Iterator[Figure]:
    """The whole honest training against one fit of the inventory's model on the same 45,000 rows."""
    recipe = Recipe()
    each = TRAINING_ROWS // len(series)
    length = DESK_1.look_back + each + recipe.purge + recipe.holdout_bars + recipe.label.window
    chosen = last(series, length)
    trainings: list[Trained] = []
    (ours,) = least(
        lambda: trainings.append(ModelRetrainer(recipe, DESK_1, TIMEFRAME, lambda: chosen).run()), repeats=2
    )
    theirs = inventory(chosen, recipe)
    fitted: list[estimators.Estimator] = []
    (fit,) = least(lambda: fitted.append(theirs.fit()), repeats=1)
    yield Figure("retrain", round(ours, 2), "s", f"walk-forward, fit, report, gate; {TRAINING_ROWS:,} rows before "
                 f"a hold-out of {recipe.holdout_days} days, {kind}")  # fmt: skip
    against = f"one fit of the inventory's model on {len(theirs.rows):,} rows, measured once, took {fit:.1f} s"
    yield at_most("retrain_against_one_fit", ours / fit, 0.15, "×", against)
    yield from loss_figures(trainings[-1], chosen, theirs, theirs.losses(fitted[0]))


def inventory(series: dict[str, Bars], recipe: Recipe) -> Inventory:
    """Return the inventory's rows of the development window and of the hold-out."""
    known = dataset.features_of(series, TIMEFRAME, V25)
    data = dataset.gather(series, TIMEFRAME, V25, recipe.label, known)
    end = int(data.time[-1]) + 1
    start = end - recipe.holdout_bars
    rows = data.between(*Window(start - recipe.purge - TRAINING_ROWS // len(series), start - recipe.purge))
    return Inventory(rows, data.between(start, end))


def loss_figures(trained: Trained, series: dict[str, Bars], theirs: Inventory, losses: Floats) -> Iterator[Figure]:
    """Held-out log-loss of both on the same rows: where there was a move to reverse, and everywhere."""
    known = dataset.features_of(series, TIMEFRAME, DESK_1)
    ours = dataset.gather(series, TIMEFRAME, DESK_1, trained.recipe.label, known)
    ours = ours.between(int(theirs.held_out.time[0]), int(theirs.held_out.time[-1]) + 1)
    candidate = ours.side != labels.NONE
    probability = np.zeros(len(ours))
    probability[candidate] = estimators.probability(trained.model, ours.features[candidate])
    mine = metrics.log_loss(ours.reversal, probability)
    for name, chosen in (("candidates", candidate), ("all_rows", np.ones(len(ours), bool))):
        theirs_mean = float(losses[chosen].mean())
        against = f"the inventory's on the same {int(chosen.sum()):,} held-out rows"
        yield at_most(f"log_loss_on_{name}", float(mine[chosen].mean()), round(theirs_mean, 4), "nats", against)


def end_to_end_figures(kind: str) -> Iterator[Figure]:
    """All rows of four instruments in a process of its own: time and peak memory."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", END_TO_END], cwd=BASE_DIR, env=environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    report = json.loads(done.stdout.splitlines()[-1])
    steps = "read, features, labels, walk-forward, fit, report, gate"
    what = f"{report['candles']:,} {kind}, {steps}: {report['outcome']}"
    yield Figure("end_to_end", round(report["seconds"], 1), "s", what)
    yield at_most("end_to_end_memory", report["bytes"] / 1e9, MOST_MEMORY, "GB", "the most that its process held")


def end_to_end() -> None:
    """Train on everything in this process and print what it took."""
    began = time.perf_counter()
    series = last(candles()[0], YEAR_ROWS)
    trained = ModelRetrainer(Recipe(), DESK_1, TIMEFRAME, lambda: series).run()
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    count = sum(len(bars) for bars in series.values())
    print(json.dumps({"seconds": seconds, "bytes": peak, "candles": count, "outcome": trained.verdict["outcome"]}))
