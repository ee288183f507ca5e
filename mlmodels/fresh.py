"""What the champion says of the newest bar, for the agent: read if it is there, computed and stored if not.

Deciding must never wait for a model or fail because of one: what goes wrong here becomes a reason to be silent.
scikit-learn is imported only by a process that has to compute.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F, FilteredRelation, Q
from django.utils import timezone

from market.bars import last_closed
from mlmodels.families import FamilyKey, is_simulated
from mlmodels.models import ModelVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The word of a family's champion on one bar, known at its close; `open_time` is market time.

    `probability` is P(reversal | the bar is a candidate), 0 with side *none*. When nobody speaks, `silent_because`
    says why, and the rest is empty.
    """

    family: str
    version: str = ""
    open_time: datetime | None = None
    probability: float = 0.0
    side: str = "none"
    silent_because: str = ""

    @property
    def is_candidate(self) -> bool:
        """Whether the bar had a move to reverse."""
        return self.side != "none"


def fresh(instrument_id: int, timeframe: int, kind: str, as_of: datetime) -> Fresh:
    """Return what is said of the newest bar closed at market time `as_of`. One query if a worker was there first.

    Nothing later than `as_of` is read. `timeframe` is in seconds, `kind` how real the prices are. Never raises
    Exception, and leaves the caller's transaction usable.
    """
    key = FamilyKey(timeframe, is_simulated(kind))
    newest = last_closed(as_of, timeframe)
    champion = _champion(key, instrument_id, newest)
    if champion is None:
        return Fresh(key.slug, silent_because="no model speaks for these candles yet")
    if timezone.now() >= champion.expires_at:
        return Fresh(key.slug, silent_because=f"the model {champion.name} is too old to speak")
    if champion.side is not None:
        return Fresh(key.slug, champion.name, newest, champion.probability, champion.side)
    if champion.cant_speak_because:
        return Fresh(key.slug, silent_because=f"the model {champion.name} can't be opened")
    return _ask(champion, instrument_id, kind, as_of)


def _champion(key: FamilyKey, instrument_id: int, open_time: datetime) -> Any:
    """Return the champion of a family with `probability` and `side` of one bar, both None if it was not asked."""
    about = Q(predictions__instrument=instrument_id, predictions__timeframe=key.timeframe)
    said = FilteredRelation("predictions", condition=about & Q(predictions__open_time=open_time))
    rows = ModelVersion.objects.filter(family=key.slug, state=ModelVersion.State.CHAMPION)
    rows = rows.annotate(said=said, probability=F("said__probability"), side=F("said__side"))
    return rows.only("name", "family", "promoted_at", "created_at", "notes").first()


def _ask(champion: ModelVersion, instrument_id: int, kind: str, as_of: datetime) -> Fresh:
    """Return what the champion says when it is asked now."""
    from mlmodels import prediction

    try:
        with transaction.atomic():
            said = prediction.score_one(champion, instrument_id, kind, as_of)
    except Exception:
        log.exception("model %s could not be asked about instrument %s", champion.name, instrument_id)
        return Fresh(champion.family, silent_because=f"the model {champion.name} could not be asked")
    if said is None:
        return Fresh(champion.family, silent_because="too few candles up to now")
    at = datetime.fromtimestamp(said.open_time, UTC)
    return Fresh(champion.family, champion.name, at, said.probability, said.side)
