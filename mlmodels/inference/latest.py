"""The champion's prediction for the newest bar, for the agent: read if it is there, computed and stored if not.

Deciding must never wait for a model or fail because of one: what goes wrong here becomes an `inactive_reason`.
scikit-learn is imported only by a process that has to compute.
"""

import logging
from datetime import UTC, datetime

from django.db import connection, transaction
from django.utils import timezone

from market.bars import last_closed
from mlmodels.inference.values import LatestPrediction
from mlmodels.models import ModelVersion
from mlmodels.models.registry import MAX_CHAMPION_AGE
from mlmodels.registry.families import FamilyKey, is_simulated

log = logging.getLogger(__name__)

_LATEST = """
    SELECT champion.id, champion.name, champion.promoted_at, prediction.probability, prediction.side
    FROM mlmodels_modelversion AS champion
    LEFT JOIN mlmodels_prediction AS prediction
      ON prediction.version_id = champion.id AND prediction.instrument_id = %s AND prediction.timeframe = %s
     AND prediction.open_time = %s
    WHERE champion.family = %s AND champion.state = 'champion'
"""


def latest_prediction(instrument_id: int, timeframe: int, kind: str, as_of: datetime) -> LatestPrediction:
    """Return the prediction for the newest bar closed at market time `as_of`. One query if it is stored already.

    Nothing later than `as_of` is read. `timeframe` is in seconds, `kind` how real the prices are. Never raises
    Exception, and leaves the caller's transaction usable.
    """
    family = FamilyKey(timeframe, is_simulated(kind)).slug
    newest = last_closed(as_of, timeframe)
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, [instrument_id, timeframe, newest, family])
        row = cursor.fetchone()
    if row is None:
        return LatestPrediction(family, inactive_reason="no model speaks for these candles yet")
    version_id, name, promoted_at, probability, side = row
    if timezone.now() >= promoted_at + MAX_CHAMPION_AGE:
        return LatestPrediction(family, inactive_reason=f"the model {name} is too old to speak")
    if side is not None:
        return LatestPrediction(family, name, newest, probability, side)
    return _compute(ModelVersion.objects.get(pk=version_id), instrument_id, kind, as_of)


def _compute(champion: ModelVersion, instrument_id: int, kind: str, as_of: datetime) -> LatestPrediction:
    """Have the champion score the newest bar now, and return its prediction."""
    from mlmodels.inference import predictions

    if champion.load_error:
        return LatestPrediction(champion.family, inactive_reason=f"the model {champion.name} can't be opened")
    try:
        with transaction.atomic():
            bar_score = predictions.score_one(champion, instrument_id, kind, as_of)
    except Exception:
        log.exception("model %s could not be asked about instrument %s", champion.name, instrument_id)
        return LatestPrediction(champion.family, inactive_reason=f"the model {champion.name} could not be asked")
    if bar_score is None:
        return LatestPrediction(champion.family, inactive_reason="too few candles up to now")
    at = datetime.fromtimestamp(bar_score.open_time, UTC)
    return LatestPrediction(champion.family, champion.name, at, bar_score.probability, bar_score.side)
