"""One trial: the pipeline up to the gate's verdict, as the desk runs it. Pure.

The walk-forward and the report are left out, since no verdict depends on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from market.bars import Bars
from mlmodels.pipeline import estimators, metrics
from mlmodels.pipeline.baselines import Constant, LeftMove
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.features import Floats, Schema
from mlmodels.pipeline.incumbent import Incumbent
from mlmodels.pipeline.report import Verdict
from mlmodels.pipeline.retrainer import ModelRetrainer
from mlmodels.pipeline.splits import Plan

#: What an experiment may do to the rows before anything is trained.
Change = Callable[[Dataset], Dataset]


def unchanged(data: Dataset) -> Dataset:
    """Return the rows as they are."""
    return data


@dataclass(frozen=True)
class Trial:
    """A model, the gate's verdict, and its skill on the hold-out against each trivial forecast.

    Skill is 1 − log-loss / the other's log-loss. `trained_to` is the first bar of the clock it saw in no way.
    """

    model: estimators.Estimator
    verdict: Verdict
    trained_to: int
    over_constant: float
    over_left_move: float

    def as_incumbent(self, schema: Schema) -> Incumbent:
        """Return it as the one that has to be beaten."""
        return Incumbent("the incumbent", schema, self.predict, self.trained_to)

    def predict(self, rows: Floats) -> Floats:
        """Return P(reversal) of each row."""
        return estimators.probability(self.model, rows)


def attempt(
    series: Mapping[str, Bars],
    timeframe: int,
    schema: Schema,
    recipe: Recipe,
    *,
    incumbent: Incumbent | None = None,
    change: Change = unchanged,
) -> Trial:
    """Train on the history before the hold-out and have the gate judge on it. Raises NotEnough."""
    pipeline = ModelRetrainer(recipe, schema, timeframe, lambda: series, incumbent=lambda: incumbent)
    loaded = pipeline.load_data()
    data = change(pipeline.detect_reversals(loaded, pipeline.engineer_features(loaded)))
    splits = pipeline.prepare_training_data(data)
    train = data.between(*splits.development).candidates
    model = pipeline.train_model(train)
    verdict = pipeline.judge(model, loaded, data, splits)
    over_constant, over_left_move = skills(model, train, data, splits)
    return Trial(model, verdict, int(train.time[-1]) + recipe.label.window + 1, over_constant, over_left_move)


def skills(model: estimators.Estimator, train: Dataset, data: Dataset, splits: Plan) -> tuple[float, float]:
    """Return the skill on the hold-out over the constant forecast and over the left move."""
    rows = data.between(*splits.holdout).candidates
    ours = metrics.log_loss(rows.reversal, estimators.probability(model, rows.features)).mean()
    constant, left_move = (
        metrics.log_loss(rows.reversal, baseline(train).predict(rows)).mean() for baseline in (Constant, LeftMove)
    )
    return float(1 - ours / constant), float(1 - ours / left_move)
