"""Feature schemas by name, and whose list of features a model brings. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlmodels.pipeline import features
from mlmodels.pipeline.features import Schema

SCHEMAS: dict[str, Schema] = {schema.name: schema for schema in (features.DESK_1, features.V25)}

#: The lists of real 2.5 models. Only their names are known: 2.5 kept no definition of them.
V25_OF_20251016 = (
    "volatility_3", "volume_ratio", "momentum_5", "wick_up", "close_position", "momentum_3", "volatility_5",
    "roc_5", "consecutive_down", "price_change", "bullish_divergence", "range", "consecutive_up", "volatility_10",
    "price_vs_sma5", "rsi", "trend_strength", "bearish_divergence", "body_size", "price_vs_sma20", "wick_down",
)  # fmt: skip
V25_OF_20251020 = (
    "price_change", "range", "body_size", "close_position", "wick_up", "wick_down", "sma_5", "sma_20", "sma_50",
    "ema_5", "ema_20", "price_vs_sma5", "price_vs_sma20", "rsi", "rsi_sma", "macd", "macd_signal", "macd_hist",
    "bb_position", "bb_width", "momentum_3", "momentum_5", "momentum_10", "roc_5", "roc_10", "volatility_3",
    "volatility_5", "volatility_10", "volatility_20", "atr", "volume_ratio", "volume_change", "consecutive_up",
    "consecutive_down", "bullish_divergence", "bearish_divergence", "trend_strength", "sma_cross", "macd_cross",
)  # fmt: skip
_NAMED = {
    V25_OF_20251016: ("v25-21", "2.5's 21 features of 20251016"),
    V25_OF_20251020: ("v25-39", "2.5's 39 features of 20251020"),
}


@dataclass(frozen=True)
class Recognised:
    """Whose list it is. Without a `schema` a model can be kept, but not scored: `missing` have no definition.

    `name` is short, as stored with a version; `text` is a sentence or two.
    """

    schema: Schema | None
    name: str
    hash: str
    missing: tuple[str, ...]
    text: str


def recognise(names: Sequence[str]) -> Recognised:
    """Return the schema that is exactly these features in this order, or what is known of the list."""
    listed = tuple(names)
    for schema in SCHEMAS.values():
        if schema.features == listed:
            return Recognised(schema, schema.name, schema.hash, (), f"Its features are {schema.text}.")
    name, called = _NAMED.get(
        listed, (f"unknown-{len(listed)}", f"a list of {len(listed)} features not seen before")
    )
    defined = set().union(*(schema.features for schema in SCHEMAS.values()))
    missing = tuple(feature for feature in listed if feature not in defined)
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return Recognised(None, name, digest, missing, f"Its features are {called}. {_why_not(missing)}")


def _why_not(missing: tuple[str, ...]) -> str:
    if not missing:
        return (
            "Each name is known here, but no schema has them in this order, so it can't be scored on candles of "
            "this desk."
        )
    verb = "has" if len(missing) == 1 else "have"
    return (
        f"{len(missing)} of them {verb} no definition here ({', '.join(missing)}), so it can't be scored on "
        "candles of this desk."
    )
