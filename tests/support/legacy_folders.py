"""Model folders as 2.5 wrote them, made with scikit-learn and joblib."""

import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.preprocessing import StandardScaler

from mlmodels.pipeline import features

TWELVE = list(features.V25.features)
CONFIG = {
    "timestamp": "20251016_234123",
    "model_type": "GradientBoostingClassifier",
    "features": TWELVE,
    "parameters": {"n_estimators": 12, "max_depth": 3},
    "symbols": ["BTCUSDT", "ETHUSDT"],
    "metrics": {"accuracy": 0.65625, "precision": 0.42, "recall": 0.7, "f1": 0.53},
}
METRICS = {
    "accuracy": 0.9984813971146546,
    "precision": 0.14285714285714285,
    "recall": 1.0,
    "f1": 0.25,
    "trained_at": "2025-10-17T00:31:49.493549",
    "training_rows": 3951,
}
METRICS_B = {
    "version": "20251020_215713",
    "best_model": "adaboost",
    "validation_metrics": {"accuracy": 0.9998, "precision": 0.9974, "recall": 1.0, "f1": 0.9987},
    "all_models": {"random_forest": {"val_metrics": {"accuracy": 0.97}}},
    "trained_at": "2025-10-20T21:58:33.738057",
}


def rows(count=12, n=300):
    """Prices, oscillators and shares: columns of very different sizes."""
    return np.random.default_rng(3).normal(size=(n, count)) * np.logspace(0, 4, count) + 50


def fitted(model=None, count=12):
    """Return scaler and model, trained the way of 2.5."""
    table = rows(count)
    scaler = StandardScaler().fit(table)
    outcome = (table[:, 0] > 50) ^ (np.random.default_rng(4).random(len(table)) < 0.2)
    if model is None:
        model = GradientBoostingClassifier(n_estimators=12, max_depth=3, subsample=0.8, random_state=42)
    return scaler, model.fit(scaler.transform(table), outcome.astype(int))


def folder(path: Path, *, model=None, scaler=None, config=None, metrics=METRICS, compress=0):
    """Write a folder; `model` and `scaler` may be anything that joblib can write."""
    path.mkdir(parents=True)
    joblib.dump(model, path / "reversal_model.joblib", compress=compress)
    if scaler is not None:
        joblib.dump(scaler, path / "reversal_scaler.joblib")
    (path / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    if metrics is not None:
        (path / "model_metrics.json").write_text(json.dumps(metrics))
    return path


def good(path: Path, **changes):
    """Write a folder that imports."""
    scaler, model = fitted()
    return folder(path, **{"model": model, "scaler": scaler, **changes})
