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
from typing import Any

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
from mlmodels.pipeline.progress import BEGINS, ProgressCallback, Step
from mlmodels.pipeline.report import Fold, Report, Scores, Verdict
from mlmodels.pipeline.splits import Plan, Split, Window, plan, unseen

GOLDEN_ROWS = 16
LEAST_TRAINING_POSITIVES = 50


@dataclass(frozen=True)
class Trained:
    """What a run made: the model, its report and the gate's verdict."""

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


@dataclass
class ModelRetrainer:
    """One training. `load` returns closed candles by symbol, `save` keeps the result; `timeframe` is in seconds.

    `attempt` counts the looks at the incumbent since its promotion, this one included. Raises NotEnough,
    BadCandles, LeakFound or UnknownEstimator, with nothing saved.
    """

    recipe: Recipe
    schema: Schema
    timeframe: int
    load: Callable[[], Mapping[str, Bars]]
    save: Callable[[Trained], object] = lambda trained: None
    incumbent: Callable[[], Incumbent | None] = lambda: None
    attempt: int = 1
    tell: ProgressCallback = lambda step, share, text: None
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> Trained:
        """Train, judge and save; return what was made."""
        estimators.make(self.recipe.estimator, self.recipe.parameters, self.recipe.seed)
        series = self.load_data()
        known = self.engineer_features(series)
        data = self.detect_reversals(series, known)
        cut = self.prepare_training_data(data)
        folds, walked, threshold = self.validate(data, cut)
        train = data.between(*cut.development).candidates
        model = self.train_model(train)
        report = self.evaluate(model, series, data, cut, threshold)
        report["folds"], report["walk_forward"] = folds, walked
        verdict = self.judge(model, series, data, cut)
        made = Trained(
            model, self.schema, self.recipe, threshold, report, verdict, self._golden(train), int(train.time[0]),
            int(train.time[-1]) + self.recipe.label.window + 1, len(train),
        )  # fmt: skip
        self.save_model(made)
        return made

    def load_data(self) -> Mapping[str, Bars]:
        """Return the candles of each instrument that has any."""
        with self._step(Step.LOAD):
            series = {symbol: bars for symbol, bars in self.load().items() if len(bars)}
            if not series:
                raise NotEnough("there are no candles: import some, or let a feed run")
            self.tell(Step.LOAD, BEGINS[Step.FEATURES], _loaded(series))
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
            cut = plan(data, self.recipe)
            self.tell(Step.PREPARE, BEGINS[Step.WALK_FORWARD], _counted(data))
            _require(data, cut)
        return cut

    def validate(self, data: Dataset, cut: Plan) -> tuple[list[Fold], Scores, float]:
        """Predict each fold from what came before it; return folds, pooled scores and the best threshold."""
        with self._step(Step.WALK_FORWARD):
            found = [self._fold(number, data, split, len(cut.folds)) for number, split in enumerate(cut.folds)]
            rows = data.between(cut.folds[0].test.first, cut.folds[-1].test.last).candidates
            said, flat = (np.concatenate(column) for column in zip(*(pair for _, pair in found), strict=True))
            threshold = metrics.best_threshold(rows.reversal, said)
            boot = metrics.Bootstrap(rows.time, self.recipe.seed)
            pooled = metrics.scores(rows.reversal, said, boot, threshold=threshold, against=flat)
            return [fold for fold, _ in found], pooled, threshold

    def _fold(self, number: int, data: Dataset, split: Split, count: int) -> tuple[Fold, tuple[Floats, Floats]]:
        train, tested = data.between(*split.train).candidates, data.between(*split.test)
        test = tested.candidates
        said = estimators.probability(self._fit(train), test.features)
        flat, left = Constant(train).predict(test), LeftMove(train).predict(test)
        losses = [float(metrics.log_loss(test.reversal, forecast).mean()) for forecast in (said, flat, left)]
        share = BEGINS[Step.FIT] - BEGINS[Step.WALK_FORWARD]
        against = f"constant {losses[1]:.4f}, left move {losses[2]:.4f}"
        text = f"fold {number + 1} of {count}: log-loss {losses[0]:.4f}, {against}"
        self.tell(Step.WALK_FORWARD, BEGINS[Step.WALK_FORWARD] + share * (number + 1) / count, text)
        return {
            "train": self._period(split.train),
            "test": self._period(split.test),
            "rows": len(tested),
            "candidates": len(test),
            "positives": test.positives,
            "log_loss": losses[0],
            "constant": losses[1],
            "left_move": losses[2],
            "pr_auc": metrics.precision_or_none(test.reversal, said),
        }, (said, flat)

    def train_model(self, train: Dataset) -> estimators.Estimator:
        """Fit the model on all candidates before the hold-out."""
        with self._step(Step.FIT):
            model = self._fit(train)
            self.tell(Step.FIT, BEGINS[Step.EVALUATE], f"{self.recipe.estimator} on {len(train):,} candidates")
            return model

    def evaluate(
        self, model: estimators.Estimator, series: Mapping[str, Bars], data: Dataset, cut: Plan, threshold: float
    ) -> Report:
        """Score the model on the hold-out, which it has not seen, beside the baselines."""
        with self._step(Step.EVALUATE):
            rows = data.between(*cut.holdout)
            found = self._forecasts(model, series, data, cut, cut.holdout)
            scored = evaluation.holdout(found, rows, cut.holdout, self.recipe, threshold)
            weighed = (
                evaluation.importance(
                    lambda table: estimators.probability(model, table),
                    found.rows,
                    self.schema.features,
                    self.recipe.seed,
                )
                if self.recipe.importance
                else []
            )
        return {
            "data": evaluation.describe(series, data),
            "label": self.recipe.label.text,
            "trained": self._period(cut.development),
            "folds": [],
            "walk_forward": None,
            "holdout": scored,
            "importance": weighed,
            "deciles": drift.deciles(data.between(*cut.development).candidates.features, self.schema.features),
            "seconds": self.seconds,
        }

    def judge(self, model: estimators.Estimator, series: Mapping[str, Bars], data: Dataset, cut: Plan) -> Verdict:
        """Have the gate compare on the rows that neither the model nor the incumbent has seen."""
        with self._step(Step.GATE):
            rival = self._rival
            window = unseen(cut.holdout, rival.trained_to if rival else None, self.recipe.embargo)
            found = self._forecasts(model, series, data, cut, window)
            verdict = gate.judge(
                gate.Trial(
                    time=found.rows.time,
                    outcome=found.rows.reversal,
                    challenger=found.model,
                    constant=found.constant,
                    left_move=found.left_move,
                    champion=found.champion,
                    champion_name=found.champion_name,
                    days=window.bars / self.recipe.bars_per_day,
                    period=self._period(window),
                    attempt=self.attempt,
                    seed=self.recipe.seed,
                )
            )
            self.tell(Step.GATE, BEGINS[Step.SAVE], f"{verdict['outcome']}: {verdict['text']}")
            return verdict

    def save_model(self, made: Trained) -> None:
        """Hand the result to whoever keeps it."""
        with self._step(Step.SAVE):
            self.save(made)
        self.tell(Step.SAVE, 1.0, "")

    def _fit(self, train: Dataset) -> estimators.Estimator:
        if train.positives in (0, len(train)):
            raise NotEnough(f"{train.positives} of {len(train)} candidates are reversals: nothing to learn from")
        model = estimators.make(self.recipe.estimator, self.recipe.parameters, self.recipe.seed)
        return model.fit(train.features, (train.reversal == REVERSAL).astype(np.int8)) or model

    @cached_property
    def _rival(self) -> Incumbent | None:
        """The incumbent, opened once."""
        return self.incumbent()

    def _forecasts(
        self, model: estimators.Estimator, series: Mapping[str, Bars], data: Dataset, cut: Plan, window: Window
    ) -> Forecasts:
        before, rows = data.between(*cut.development).candidates, data.between(*window).candidates
        rival = self._rival
        return Forecasts(
            rows,
            estimators.probability(model, rows.features),
            Constant(before).predict(rows),
            LeftMove(before).predict(rows),
            rival.forecast(rows, self.schema, series) if rival else None,
            rival.name if rival else "",
        )

    def _golden(self, train: Dataset) -> Floats:
        """Return a few rows that the stored model must reproduce exactly."""
        return np.asarray(train.features[np.linspace(0, len(train) - 1, GOLDEN_ROWS).astype(int)])

    def _period(self, window: Window) -> Any:
        return evaluation.period(window, self.timeframe, self.recipe.bars_per_day)

    @contextmanager
    def _step(self, step: Step) -> Iterator[None]:
        """Tell that a step begins, and keep how long it took (seconds)."""
        self.tell(step, BEGINS[step], "")
        began = time.perf_counter()
        yield
        self.seconds[step.value] = round(time.perf_counter() - began, 3)


def _loaded(series: Mapping[str, Bars]) -> str:
    parts = ", ".join(f"{symbol} {len(bars):,}" for symbol, bars in series.items())
    return f"{sum(len(bars) for bars in series.values()):,} candles: {parts}"


def _require(data: Dataset, cut: Plan) -> None:
    """Raise NotEnough if there is too little to learn from, or nothing to predict in a period."""
    before = data.between(*cut.development).candidates
    if before.positives < LEAST_TRAINING_POSITIVES:
        raise NotEnough(
            f"{before.positives} reversals before the hold-out, {LEAST_TRAINING_POSITIVES} are needed: "
            "more history, or a label with a smaller threshold"
        )
    for window in (*(fold.test for fold in cut.folds), cut.holdout):
        if not len(data.between(*window).candidates):
            raise NotEnough("a whole test period has no candidate: the candles have long gaps, or hardly move")


def _counted(data: Dataset) -> str:
    chosen = data.candidates
    shares = f"{chosen.positives / max(len(chosen), 1):.1%} of them, {data.positives / len(data):.2%} of all rows"
    return f"{len(data):,} rows, {len(chosen):,} candidates, {chosen.positives:,} reversals ({shares})"
