"""The training pipeline of 2.5 (load, engineer, label, prepare, train, evaluate, save, run), made honest. Pure.

A plain class: it knows no database, no queue and no clock. What it needs is given to it (where candles come from,
who is champion, where progress and the result go), so that the desk, the benchmark and the honesty suite run the
same code. The model that was scored is the model that is kept: nothing is trained again on the rows of the gate.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from market.bars import Bars
from mlmodels.pipeline import dataset, drift, estimators, evaluation, gate, leakage, metrics
from mlmodels.pipeline.baselines import Constant, LeftMove
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset, NotEnough
from mlmodels.pipeline.evaluation import Forecasts
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.incumbent import Incumbent
from mlmodels.pipeline.labels import REVERSAL
from mlmodels.pipeline.progress import BEGINS, ProgressCallback, Step, ignore_progress
from mlmodels.pipeline.report import Fold, Period, Report, Scores, Verdict
from mlmodels.pipeline.splits import Plan, Split, Window, plan, unseen

GOLDEN_ROWS = 16
LEAST_TRAINING_POSITIVES = 50


@dataclass(frozen=True)
class Trained:
    """The outcome of a run: the model, its report and the gate's verdict."""

    model: estimators.Estimator
    schema: Schema
    recipe: Recipe
    threshold: float
    report: Report
    verdict: Verdict
    golden: Floats
    first: int
    trained_to: int
    rows: int


def discard(trained: Trained) -> None:
    """Keep nothing of a training."""


def no_incumbent() -> None:
    """Return that there is no champion to be beaten."""


@dataclass
class ModelRetrainer:
    """One training. `load` returns closed candles by symbol, `save` keeps the result; `timeframe` is in seconds.

    `attempt` counts the looks of the gate since its count began, this one included. Raises NotEnough,
    BadCandles, LeakFound or UnknownEstimator, with nothing saved.
    """

    recipe: Recipe
    schema: Schema
    timeframe: int
    load: Callable[[], Mapping[str, Bars]]
    save: Callable[[Trained], object] = discard
    incumbent: Callable[[], Incumbent | None] = no_incumbent
    attempt: int = 1
    progress: ProgressCallback = ignore_progress
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> Trained:
        """Train, judge and save; return the outcome."""
        estimators.make(self.recipe.estimator, self.recipe.parameters, self.recipe.seed)
        series = self.load_data()
        known = self.engineer_features(series)
        data = self.detect_reversals(series, known)
        splits = self.prepare_training_data(data)
        folds, walked, threshold = self.validate(data, splits)
        train = data.between(*splits.development).candidates
        model = self.train_model(train)
        report = self.evaluate(model, series, data, splits, threshold)
        report["folds"], report["walk_forward"] = folds, walked
        verdict = self.judge(model, series, data, splits)
        trained = Trained(
            model, self.schema, self.recipe, threshold, report, verdict, self._golden(train), int(train.time[0]),
            int(train.time[-1]) + self.recipe.label.window + 1, len(train),
        )  # fmt: skip
        self.save_model(trained)
        return trained

    def load_data(self) -> Mapping[str, Bars]:
        """Return the candles of each instrument that has any."""
        with self._step(Step.LOAD):
            series = {symbol: bars for symbol, bars in self.load().items() if len(bars)}
            if not series:
                raise NotEnough("there are no candles: import some, or let a feed run")
            self.progress(Step.LOAD, BEGINS[Step.FEATURES], _loaded(series))
        return series

    def engineer_features(self, series: Mapping[str, Bars]) -> dict[str, Floats]:
        """Return the features of each instrument."""
        with self._step(Step.FEATURES):
            return dataset.features_of(series, self.timeframe, self.schema)

    def detect_reversals(self, series: Mapping[str, Bars], known: Mapping[str, Floats]) -> Dataset:
        """Return all rows with their labels. Raises LeakFound if a feature knows the future."""
        with self._step(Step.LABELS):
            data = dataset.gather(series, self.timeframe, self.schema, self.recipe.label, known)
            leakage.check(self.schema, series, known, data, self.recipe.seed)
            return data

    def prepare_training_data(self, data: Dataset) -> Plan:
        """Cut the history into folds, development and hold-out; nothing is scaled by what lies ahead."""
        with self._step(Step.PREPARE):
            splits = plan(data, self.recipe)
            self.progress(Step.PREPARE, BEGINS[Step.WALK_FORWARD], _counted(data))
            _require(data, splits)
        return splits

    def validate(self, data: Dataset, splits: Plan) -> tuple[list[Fold], Scores, float]:
        """Predict each fold from what came before it; return folds, pooled scores and the best threshold."""
        with self._step(Step.WALK_FORWARD):
            results = [
                self._fold(number, data, split, len(splits.folds)) for number, split in enumerate(splits.folds)
            ]
            rows = data.between(splits.folds[0].test.first, splits.folds[-1].test.last).candidates
            forecast, constant = (
                np.concatenate(column) for column in zip(*(pair for _, pair in results), strict=True)
            )
            threshold = metrics.best_threshold(rows.reversal, forecast)
            boot = metrics.Bootstrap(rows.time, self.recipe.seed)
            pooled = metrics.scores(rows.reversal, forecast, boot, threshold=threshold, against=constant)
            return [fold for fold, _ in results], pooled, threshold

    def _fold(self, number: int, data: Dataset, split: Split, count: int) -> tuple[Fold, tuple[Floats, Floats]]:
        train, tested = data.between(*split.train).candidates, data.between(*split.test)
        test = tested.candidates
        model = estimators.probability(self._fit(train), test.features)
        constant, left_move = Constant(train).predict(test), LeftMove(train).predict(test)
        losses = [
            float(metrics.log_loss(test.reversal, forecast).mean()) for forecast in (model, constant, left_move)
        ]
        share = BEGINS[Step.FIT] - BEGINS[Step.WALK_FORWARD]
        against = f"constant {losses[1]:.4f}, left move {losses[2]:.4f}"
        text = f"fold {number + 1} of {count}: log-loss {losses[0]:.4f}, {against}"
        self.progress(Step.WALK_FORWARD, BEGINS[Step.WALK_FORWARD] + share * (number + 1) / count, text)
        return {
            "train": self._period(split.train),
            "test": self._period(split.test),
            "rows": len(tested),
            "candidates": len(test),
            "positives": test.positives,
            "log_loss": losses[0],
            "constant": losses[1],
            "left_move": losses[2],
            "pr_auc": metrics.precision_or_none(test.reversal, model),
        }, (model, constant)

    def train_model(self, train: Dataset) -> estimators.Estimator:
        """Fit the model on all candidates before the hold-out."""
        with self._step(Step.FIT):
            model = self._fit(train)
            self.progress(Step.FIT, BEGINS[Step.EVALUATE], f"{self.recipe.estimator} on {len(train):,} candidates")
            return model

    def evaluate(
        self,
        model: estimators.Estimator,
        series: Mapping[str, Bars],
        data: Dataset,
        splits: Plan,
        threshold: float,
    ) -> Report:
        """Score the model on the hold-out, which it has not seen, beside the baselines."""
        with self._step(Step.EVALUATE):
            rows = data.between(*splits.holdout)
            forecasts = self._forecasts(model, series, data, splits, splits.holdout)
            scored = evaluation.holdout(forecasts, rows, splits.holdout, self.recipe, threshold)
            importances = (
                evaluation.importance(
                    lambda table: estimators.probability(model, table),
                    forecasts.rows,
                    self.schema.features,
                    self.recipe.seed,
                )
                if self.recipe.importance
                else []
            )
        return {
            "data": evaluation.describe(series, data),
            "label": self.recipe.label.text,
            "trained": self._period(splits.development),
            "folds": [],
            "walk_forward": None,
            "holdout": scored,
            "importance": importances,
            "deciles": drift.deciles(data.between(*splits.development).candidates.features, self.schema.features),
            "seconds": self.seconds,
        }

    def judge(
        self, model: estimators.Estimator, series: Mapping[str, Bars], data: Dataset, splits: Plan
    ) -> Verdict:
        """Have the gate compare on the rows that neither the model nor the incumbent has seen."""
        with self._step(Step.GATE):
            incumbent = self._incumbent
            window = unseen(splits.holdout, incumbent.trained_to if incumbent else None, self.recipe.embargo)
            forecasts = self._forecasts(model, series, data, splits, window)
            verdict = gate.judge(
                gate.Trial(
                    time=forecasts.rows.time,
                    outcome=forecasts.rows.reversal,
                    challenger=forecasts.model,
                    constant=forecasts.constant,
                    left_move=forecasts.left_move,
                    champion=forecasts.champion,
                    champion_name=forecasts.champion_name,
                    days=window.bars / self.recipe.bars_per_day,
                    period=self._period(window),
                    attempt=self.attempt,
                    seed=self.recipe.seed,
                )
            )
            self.progress(Step.GATE, BEGINS[Step.SAVE], f"{verdict['outcome']}: {verdict['text']}")
            return verdict

    def save_model(self, trained: Trained) -> None:
        """Hand the outcome to `save`."""
        with self._step(Step.SAVE):
            self.save(trained)
        self.progress(Step.SAVE, 1.0, "")

    def _fit(self, train: Dataset) -> estimators.Estimator:
        if train.positives in (0, len(train)):
            raise NotEnough(f"{train.positives} of {len(train)} candidates are reversals: nothing to learn from")
        model = estimators.make(self.recipe.estimator, self.recipe.parameters, self.recipe.seed)
        return model.fit(train.features, (train.reversal == REVERSAL).astype(np.int8)) or model

    @cached_property
    def _incumbent(self) -> Incumbent | None:
        """The incumbent, loaded once."""
        return self.incumbent()

    def _forecasts(
        self, model: estimators.Estimator, series: Mapping[str, Bars], data: Dataset, splits: Plan, window: Window
    ) -> Forecasts:
        before, rows = data.between(*splits.development).candidates, data.between(*window).candidates
        incumbent = self._incumbent
        return Forecasts(
            rows,
            estimators.probability(model, rows.features),
            Constant(before).predict(rows),
            LeftMove(before).predict(rows),
            incumbent.forecast(rows, self.schema, series) if incumbent else None,
            incumbent.name if incumbent else "",
        )

    def _golden(self, train: Dataset) -> Floats:
        """Return a few rows that the stored model must reproduce exactly."""
        return np.asarray(train.features[np.linspace(0, len(train) - 1, GOLDEN_ROWS).astype(int)])

    def _period(self, window: Window) -> Period:
        return evaluation.period(window, self.timeframe, self.recipe.bars_per_day)

    @contextmanager
    def _step(self, step: Step) -> Iterator[None]:
        """Report that a step begins, and keep how long it took (seconds)."""
        self.progress(step, BEGINS[step], "")
        began = time.perf_counter()
        yield
        self.seconds[step.value] = round(time.perf_counter() - began, 3)


def _loaded(series: Mapping[str, Bars]) -> str:
    parts = ", ".join(f"{symbol} {len(bars):,}" for symbol, bars in series.items())
    return f"{sum(len(bars) for bars in series.values()):,} candles: {parts}"


def _require(data: Dataset, splits: Plan) -> None:
    """Raise NotEnough if there is too little to learn from, or nothing to predict in a period."""
    before = data.between(*splits.development).candidates
    if before.positives < LEAST_TRAINING_POSITIVES:
        raise NotEnough(
            f"{before.positives} reversals before the hold-out, {LEAST_TRAINING_POSITIVES} are needed: "
            "more history, or a label with a smaller threshold"
        )
    for window in (*(fold.test for fold in splits.folds), splits.holdout):
        if not len(data.between(*window).candidates):
            raise NotEnough("a whole test period has no candidate: the candles have long gaps, or hardly move")


def _counted(data: Dataset) -> str:
    chosen = data.candidates
    shares = f"{chosen.positives / max(len(chosen), 1):.1%} of them, {data.positives / len(data):.2%} of all rows"
    return f"{len(data):,} rows, {len(chosen):,} candidates, {chosen.positives:,} reversals ({shares})"
