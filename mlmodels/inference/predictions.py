"""Prediction: the champion scores every bar that closes, all instruments of a market in one batch.

Nothing later than an instrument's own market time is read. A prediction is stored once and never rewritten,
however often its candle is revised; scoring again is harmless.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import connection
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.isolation.rows import each, together
from market.models import Instrument, MarketKind
from market.series import load_spans
from mlmodels.inference import champions, outcomes
from mlmodels.models import ModelVersion, Prediction
from mlmodels.pipeline import scoring
from mlmodels.pipeline.scoring import BarScore, Scorer
from mlmodels.registry import families
from mlmodels.registry.families import FamilyKey
from mlmodels.signals import predicted

#: How many bars are made up for after a pause.
MOST_MISSED = 200
#: Bars that one transaction takes on.
BATCH = 2000
#: Predictions about made-up markets are deleted after this time, this many of a version at once.
KEPT_SIMULATED = timedelta(days=7)
MOST_FORGOTTEN = 20_000
# The work on predictions, as the page Health names it where it fails.
PREDICT, SCORE, LABEL, FORGET = "mlmodels.predict", "mlmodels.score", "mlmodels.label", "mlmodels.forget"

_DUE = """
    SELECT quote.instrument_id, quote.kind, newest.open_time, coalesce(
        scored.open_time,
        newest.open_time - make_interval(secs => quote.timeframe * CASE WHEN EXISTS (
            SELECT FROM mlmodels_prediction
            WHERE instrument_id = quote.instrument_id AND timeframe = quote.timeframe AND version_id = %(version)s
        ) THEN %(missed)s ELSE 1 END)
    )
    FROM market_quote quote
    CROSS JOIN LATERAL (
        SELECT open_time FROM market_candle
        WHERE instrument_id = quote.instrument_id AND timeframe = quote.timeframe
          AND open_time <= quote.market_time - make_interval(secs => quote.timeframe)
        ORDER BY open_time DESC LIMIT 1
    ) AS newest
    LEFT JOIN LATERAL (
        SELECT open_time FROM mlmodels_prediction
        WHERE instrument_id = quote.instrument_id AND timeframe = quote.timeframe AND version_id = %(version)s
          AND open_time <= newest.open_time
          AND open_time > newest.open_time - make_interval(secs => quote.timeframe * %(missed)s)
        ORDER BY open_time DESC LIMIT 1
    ) AS scored ON true
    WHERE quote.timeframe = %(timeframe)s AND (quote.kind = 'simulated') = %(simulated)s
      AND scored.open_time IS DISTINCT FROM newest.open_time
    ORDER BY quote.instrument_id
"""
_STORE = """
    INSERT INTO mlmodels_prediction (instrument_id, market, open_time, side, probability, features, timeframe,
                                     version_id, schema_hash, void, made_at)
    SELECT instrument_id, market, to_timestamp(open_time), side, probability, features::float8[], %s, %s, %s,
           false, now()
    FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::float8[], %s::text[])
         AS new (instrument_id, market, open_time, side, probability, features)
    ON CONFLICT (instrument_id, timeframe, open_time, version_id) DO NOTHING
    RETURNING id, instrument_id
"""


@dataclass(frozen=True, slots=True)
class Due:
    """An instrument whose bars after `after`, up to `newest` (open times, market time), were not scored yet."""

    instrument_id: int
    kind: str
    newest: datetime
    after: datetime


def score(timeframe: int, simulated: bool) -> list[int]:
    """Score every bar of a market that closed since it was last done; return the ids of the new predictions.

    Nothing is done while the market has no active champion. `timeframe` is in seconds.
    """
    key = FamilyKey(timeframe, simulated)
    champion = champions.champion_scorer(key)
    if champion is None:
        return []
    version, scorer = champion
    score_part = partial(_score, version, scorer)
    return [
        pk
        for part in _parts(due(version), timeframe)
        for pk in together(SCORE, part, score_part, model=Instrument, key=lambda row: row.instrument_id)
    ]


def due(version: ModelVersion) -> list[Due]:
    """Return what of its market a champion has not scored yet, at most `MOST_MISSED` bars back. One query.

    Of an instrument that it never scored, that is the newest bar: older ones may be rows it was judged on.
    """
    values = {
        "version": version.pk,
        "timeframe": version.timeframe,
        "simulated": version.simulated,
        "missed": MOST_MISSED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        return [Due(*row) for row in cursor.fetchall()]


def _parts(rows: Sequence[Due], timeframe: int) -> Iterator[list[Due]]:
    """Cut `rows` so that each part has about `BATCH` bars at most."""
    part, bars = [], 0
    for row in rows:
        part.append(row)
        bars += int((row.newest - row.after).total_seconds()) // timeframe
        if bars >= BATCH:
            yield part
            part, bars = [], 0
    if part:
        yield part


def _score(version: ModelVersion, scorer: Scorer, rows: Sequence[Due]) -> list[int]:
    """Score bars and label what they make known, in the caller's transaction; return the new predictions' ids."""
    # The bars before the first one to score, and enough of them to label what has just become known.
    reach = timedelta(seconds=scorer.timeframe) * (scorer.need + scorer.rule.window - 1)
    bars = load_spans({row.instrument_id: (row.after - reach, row.newest) for row in rows}, scorer.timeframe)
    series = [
        (row.instrument_id, bars[row.instrument_id], int(row.after.timestamp()))
        for row in rows
        if row.instrument_id in bars
    ]
    new = _store(version, scoring.score_bars(scorer, series), {row.instrument_id: row.kind for row in rows})
    outcomes.label_predictions(families.of_version(version), bars)
    return new


def score_one(version: ModelVersion, instrument_id: int, kind: str, as_of: datetime) -> BarScore | None:
    """Have a version score the newest bar of one instrument closed at market time `as_of`, and store it.

    Returns None if there is no such bar in the last two, or too little before it. Raises BadArtefact.
    """
    scorer = champions.scorer_of(version)
    size = timedelta(seconds=version.timeframe)
    span = (as_of - size * (scorer.need + 2), as_of - size)
    bars = load_spans({instrument_id: span}, version.timeframe).get(instrument_id)
    if bars is None or bars.open_time[-1] <= (as_of - 3 * size).timestamp():
        return None
    scores = scoring.score_bars(scorer, [(instrument_id, bars, int(bars.open_time[-1]) - 1)])
    _store(version, scores, {instrument_id: kind})
    return scores[0] if scores else None


def _store(version: ModelVersion, scores: Sequence[BarScore], kinds: dict[int, str]) -> list[int]:
    """Store scores, unless they are there, and announce it after commit; return the ids of what is new."""
    if not scores:
        return []
    columns = [
        (row.instrument_id, kinds[row.instrument_id], row.open_time, row.side, row.probability, _array(row))
        for row in scores
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE,
            [version.timeframe, version.pk, version.schema_hash, *map(list, zip(*columns, strict=True))],
        )
        stored = cursor.fetchall()
    if stored:
        _announce(version.family, max(row.open_time for row in scores), sorted({row[1] for row in stored}))
    return [row[0] for row in stored]


def _array(row: BarScore) -> str:
    return "{" + ",".join(map(repr, row.features.tolist())) + "}"


def _announce(family: str, open_time: int, instrument_ids: list[int]) -> None:
    at = datetime.fromtimestamp(open_time, UTC)
    announce(predicted, Prediction, family=family, open_time=at, instrument_ids=instrument_ids)


def score_markets(timeframe: int | None = None) -> int:
    """Score the markets in which instruments have a price now, or those of one timeframe (seconds).

    Returns how many predictions were made.
    """
    keys = [key for key in families.quoted_families() if timeframe in (None, key.timeframe)]
    return sum(each(PREDICT, keys, lambda key: len(score(key.timeframe, key.simulated))))


def sweep() -> int:
    """Score and label what lost nudges left, in all markets; return how many predictions were made or ended."""
    families.check_recipes()
    return score_markets() + sum(each(LABEL, families.all_families(), outcomes.sweep, complete=True))


def forget_simulated() -> int:
    """Delete old predictions about bars of made-up markets, a bounded number; return how many."""
    before = timezone.now() - KEPT_SIMULATED
    versions = ModelVersion.objects.filter(simulated=True).only("pk", "name")
    return sum(each(FORGET, versions, lambda version: _forget(version.pk, before), complete=True))


def _forget(version: int, before: datetime) -> int:
    old = Prediction.objects.filter(version=version, open_time__lt=before, market=MarketKind.SIMULATED)
    batch = Prediction.objects.filter(pk__in=old.order_by("open_time").values("pk")[:MOST_FORGOTTEN])
    return batch.delete()[0]
