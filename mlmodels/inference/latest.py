"""What the champion says of the newest bar, for the agent: read if it is there, computed and stored if not.

Deciding must never wait for a model or fail because of one: what goes wrong here becomes a reason to be silent.
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

_SAID = """
    SELECT champion.id, champion.name, champion.promoted_at, said.probability, said.side
    FROM mlmodels_modelversion AS champion
    LEFT JOIN mlmodels_prediction AS said
      ON said.version_id = champion.id AND said.instrument_id = %s AND said.timeframe = %s AND said.open_time = %s
    WHERE champion.family = %s AND champion.state = 'champion'
"""


def latest_prediction(instrument_id: int, timeframe: int, kind: str, as_of: datetime) -> LatestPrediction:
    """Return what is said of the newest bar closed at market time `as_of`. One query if a worker was there first.

    Nothing later than `as_of` is read. `timeframe` is in seconds, `kind` how real the prices are. Never raises
    Exception, and leaves the caller's transaction usable.
    """
    family = FamilyKey(timeframe, is_simulated(kind)).slug
    newest = last_closed(as_of, timeframe)
    with connection.cursor() as cursor:
        cursor.execute(_SAID, [instrument_id, timeframe, newest, family])
        row = cursor.fetchone()
    if row is None:
        return LatestPrediction(family, silent_because="no model speaks for these candles yet")
    version_id, name, promoted_at, probability, side = row
    if timezone.now() >= promoted_at + MAX_CHAMPION_AGE:
        return LatestPrediction(family, silent_because=f"the model {name} is too old to speak")
    if side is not None:
        return LatestPrediction(family, name, newest, probability, side)
    return _ask(ModelVersion.objects.get(pk=version_id), instrument_id, kind, as_of)


def _ask(champion: ModelVersion, instrument_id: int, kind: str, as_of: datetime) -> LatestPrediction:
    """Return what the champion says when it is asked now."""
    from mlmodels.inference import predictions

    if champion.cant_speak_because:
        return LatestPrediction(champion.family, silent_because=f"the model {champion.name} can't be opened")
    try:
        with transaction.atomic():
            said = predictions.score_one(champion, instrument_id, kind, as_of)
    except Exception:
        log.exception("model %s could not be asked about instrument %s", champion.name, instrument_id)
        return LatestPrediction(champion.family, silent_because=f"the model {champion.name} could not be asked")
    if said is None:
        return LatestPrediction(champion.family, silent_because="too few candles up to now")
    at = datetime.fromtimestamp(said.open_time, UTC)
    return LatestPrediction(champion.family, champion.name, at, said.probability, said.side)
