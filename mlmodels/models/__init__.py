"""Rows of models: versions and their promotions, training runs, predictions, proofs."""

from mlmodels.models.prediction import Prediction
from mlmodels.models.proof import ProofRun
from mlmodels.models.registry import Artefact, ModelVersion, Promotion
from mlmodels.models.training import TrainingRun

__all__ = ["Artefact", "ModelVersion", "Prediction", "Promotion", "ProofRun", "TrainingRun"]
