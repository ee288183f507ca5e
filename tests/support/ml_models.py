"""A small desk with a model: simulated bars as candles, a market clock, a champion that was really trained."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
from django.utils import timezone

from market.bars import Bars
from market.feeds.simulator import simulate
from market.models import Candle, Instrument, MarketKind, Quote
from mlmodels.models import ModelVersion
from mlmodels.pipeline import dataset, estimators
from mlmodels.pipeline.config import Recipe
from mlmodels.pipeline.features import DESK_1, Floats
from mlmodels.registry import artefacts
from mlmodels.registry.families import FamilyKey

#: A Monday.
START = datetime(2026, 1, 5, tzinfo=UTC)
TIMEFRAME = 300
NEED = 300  # bars before the first that can be scored
KEY = FamilyKey(TIMEFRAME, simulated=False)
_numbers = count(1)


def bars_of(symbols: Sequence[str], count: int, seed: int = 1, start: datetime = START) -> dict[str, Bars]:
    """Return simulated bars from `start` on."""
    first = int(start.timestamp()) // TIMEFRAME
    return simulate(symbols, seed=seed, count=count, timeframe=TIMEFRAME, start=first)


def store(symbol: str, bars: Bars, kind: str = "live", timeframe: int = TIMEFRAME) -> Instrument:
    """Store bars as candles of an instrument, and set its market's clock to the close of the last."""
    instrument, _ = Instrument.objects.get_or_create(symbol=symbol)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    names = ("open", "high", "low", "close", "volume")
    Candle.objects.bulk_create(
        Candle(
            instrument=instrument, timeframe=timeframe, kind=kind,
            open_time=datetime.fromtimestamp(int(second), UTC),
            **{name: Decimal(f"{value:.10f}") for name, value in zip(names, values, strict=True)},
        )
        for second, *values in zip(bars.open_time, *columns, strict=True)
    )  # fmt: skip
    set_clock(instrument, int(bars.open_time[-1]) + timeframe, kind, timeframe)
    return instrument


def set_clock(
    instrument: Instrument, at: int | datetime, kind: str = "live", timeframe: int = TIMEFRAME
) -> datetime:
    """Let the market of an instrument have reached `at` (a time, or seconds since 1970)."""
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    values = {"price": 100, "timeframe": timeframe, "kind": MarketKind(kind), "market_time": moment}
    Quote.objects.update_or_create(instrument=instrument, defaults={**values, "received_at": timezone.now()})
    return moment


def clock_after(bars: int) -> datetime:
    """Return the market time at which `bars` candles from START have closed."""
    return START + timedelta(seconds=bars * TIMEFRAME)


@lru_cache(maxsize=1)
def learned() -> tuple[estimators.Estimator, Floats]:
    """Return a small model trained on simulated bars of another time, and rows that it must reproduce."""
    series = bars_of(["BTCUSDT", "ETHUSDT"], 1800, seed=9, start=START - timedelta(days=60))
    known = dataset.features_of(series, TIMEFRAME, DESK_1)
    rows = dataset.gather(series, TIMEFRAME, DESK_1, KEY.label, known).candidates
    model = estimators.make("HistGradientBoosting", {"max_iter": 10, "min_samples_leaf": 20}, seed=1)
    model.fit(rows.features, (rows.reversal == 1).astype(np.int8))
    return model, rows.features[:8]


def make_version(
    key: FamilyKey = KEY, *, state: str = "champion", with_model: bool = True, **fields: Any
) -> ModelVersion:
    """Make a version of a family, promoted a day ago, with a model that was really trained."""
    number = next(_numbers)
    values = {
        "name": f"20260101_{number:06d}", "promoted_at": timezone.now() - timedelta(days=1),
        "recipe": Recipe(label=key.label).as_json(), "report": {"data": {"candidate_base_rate": 0.3}},
    } | fields  # fmt: skip
    version = ModelVersion.objects.create(
        family=key.slug, timeframe=key.timeframe, simulated=key.simulated, state=state, schema=DESK_1.name,
        schema_hash=DESK_1.hash, **values,
    )  # fmt: skip
    if with_model:
        artefacts.store(version, *learned())
    return version
