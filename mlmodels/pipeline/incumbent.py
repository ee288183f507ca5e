"""The champion that has to be beaten: its forecast of the same rows, from features of its own schema. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from market.bars import Bars
from mlmodels.pipeline import dataset, evaluation
from mlmodels.pipeline.dataset import Dataset
from mlmodels.pipeline.features import Floats, Schema


@dataclass(frozen=True)
class Incumbent:
    """The model that has to be beaten. `trained_to` is the first bar of the clock that it saw in no way."""

    name: str
    schema: Schema
    predict: evaluation.Predict
    trained_to: int | None

    def forecast(self, rows: Dataset, schema: Schema, series: Mapping[str, Bars]) -> Floats:
        """Return its probability of each row; `rows` have features of `schema`, `series` the candles behind."""
        if not len(rows):
            return np.empty(0)
        if self.schema.hash == schema.hash:
            return np.asarray(self.predict(rows.features))
        by_symbol = dataset.features_of(series, rows.timeframe, self.schema)
        table = np.empty((len(rows), len(self.schema.features)))
        for number, symbol in enumerate(rows.symbols):
            of_symbol = rows.instrument == number
            place = np.searchsorted(series[symbol].open_time, rows.time[of_symbol] * rows.timeframe)
            table[of_symbol] = by_symbol[symbol][place]
        return np.asarray(self.predict(table))
