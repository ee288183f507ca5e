"""What the pages show of sources: their last alerts, their silence, their first alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from webhooks.models import Alert, Source

LOOKED_AT = 500  # newest alerts of each source: the price of a page stays the same on a desk of ten years

_FIGURES = """
    SELECT source.id, figures.* FROM webhooks_source source, LATERAL (
        SELECT count(*), count(*) FILTER (WHERE newest.state = 'failed'),
               count(*) FILTER (WHERE newest.received_at > %s), max(newest.received_at)
        FROM (
            SELECT state, received_at FROM webhooks_alert alert
            WHERE alert.source_id = source.id ORDER BY alert.id DESC LIMIT %s
        ) newest
    ) figures
    WHERE %s::bigint IS NULL OR source.id = %s
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the newest `LOOKED_AT` alerts of a source. `last_at` is wall time."""

    alerts: int
    failed: int
    today: int
    last_at: datetime | None

    @property
    def more(self) -> bool:
        """Whether there may be older alerts that were not looked at."""
        return self.alerts >= LOOKED_AT


@dataclass(frozen=True, slots=True)
class Sender:
    """A source with its figures and, where an alert is overdue, how long it has sent none."""

    source: Source
    figures: Figures
    silent_seconds: float | None

    @property
    def state(self) -> str:
        """revoked, silent, waiting (no alert yet) or ok."""
        if self.source.revoked_at:
            return "revoked"
        if self.silent_seconds is not None:
            return "silent"
        return "ok" if self.figures.last_at else "waiting"


def figures(source_id: int | None = None) -> dict[int, Figures]:
    """Return the figures of all sources, or of one, in one query."""
    since = timezone.now() - timedelta(hours=24)
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, [since, LOOKED_AT, source_id, source_id])
        return {row[0]: Figures(*row[1:]) for row in cursor.fetchall()}


def senders() -> list[Sender]:
    """Return all sources, those that still work first, by name."""
    by_source = figures()
    rows = Source.objects.select_related("connection").order_by("name")
    listed = [_sender(source, by_source.get(source.pk)) for source in rows]
    return sorted(listed, key=lambda sender: bool(sender.source.revoked_at))


def sender(source_id: int) -> Sender | None:
    """Return one source with its figures."""
    source = Source.objects.select_related("connection", "created_by").filter(pk=source_id).first()
    return _sender(source, figures(source_id).get(source_id)) if source else None


def _sender(source: Source, known: Figures | None) -> Sender:
    recent = known or Figures(0, 0, 0, None)
    return Sender(source, recent, silence(source, recent.last_at))


def silence(source: Source, last_at: datetime | None) -> float | None:
    """Return the seconds of silence if they are longer than the source's limit, else None."""
    if not source.silence_hours or source.revoked_at:
        return None
    seconds = (timezone.now() - (last_at or source.created_at)).total_seconds()
    return seconds if seconds > source.silence_hours * 3600 else None


def newest_alerts(source_id: int, count: int = 10) -> Sequence[Alert]:
    """Return the newest alerts of a source without their bodies."""
    alerts = Alert.objects.filter(source_id=source_id).defer("body").order_by("-id")
    return list(alerts.select_related("instrument", "decision__instrument", "source")[:count])


def moves_real_money(source: Source) -> bool:
    """Return whether alerts of this source can move real money."""
    return source.connection.mode == "live" and source.policy != "shadow"
