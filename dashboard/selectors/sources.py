"""What the pages show of sources: their last alerts, their silence, their first alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.utils import timezone

from brokers.selectors import desk
from webhooks.models import Alert, Source

LOOKED_AT = 500  # newest alerts of each source: the price of a page stays the same on a desk of ten years
PERIOD = timedelta(hours=24)

_FIGURES = """
    SELECT source.id, figures.* FROM webhooks_source source, LATERAL (
        SELECT count(*) FILTER (WHERE newest.received_at > %(since)s), max(newest.received_at), (
            SELECT count(*) FROM (
                SELECT received_at FROM webhooks_alert failure
                WHERE failure.source_id = source.id AND failure.state = 'failed'
                ORDER BY failure.id DESC LIMIT %(most)s
            ) failures WHERE failures.received_at > %(since)s
        )
        FROM (
            SELECT received_at FROM webhooks_alert alert
            WHERE alert.source_id = source.id ORDER BY alert.id DESC LIMIT %(most)s
        ) newest
    ) figures
    WHERE %(source)s::bigint IS NULL OR source.id = %(source)s
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Alerts of a source in the last 24 hours, and those of them that failed; at most `LOOKED_AT` are counted.

    `last_at` is the wall time of its newest alert.
    """

    today: int
    last_at: datetime | None
    failed: int

    @property
    def today_text(self) -> str:
        """How many came."""
        return _counted(self.today)

    @property
    def failed_text(self) -> str:
        """How many failed."""
        return _counted(self.failed)


def _counted(number: int) -> str:
    return f"{number} or more" if number >= LOOKED_AT else str(number)


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
    values: dict[str, datetime | int | None] = {
        "since": timezone.now() - PERIOD,
        "most": LOOKED_AT,
        "source": source_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, values)
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
    recent = known or Figures(0, None, 0)
    return Sender(source, recent, silence(source, recent.last_at))


def silence(source: Source, last_at: datetime | None) -> float | None:
    """Return the seconds of silence if they are longer than the source's limit, else None."""
    if not source.silence_hours or source.revoked_at:
        return None
    seconds = (timezone.now() - (last_at or source.created_at)).total_seconds()
    return seconds if seconds > source.silence_hours * 3600 else None


def names() -> dict[str, str]:
    """Return the names of sources by slug: decisions keep slugs. One query."""
    return dict(Source.objects.values_list("slug", "name"))


def newest_alerts(source_id: int, count: int = 10) -> Sequence[Alert]:
    """Return the newest alerts of a source without their bodies."""
    alerts = Alert.objects.filter(source_id=source_id).defer("body").order_by("-id")
    return list(alerts.select_related("instrument", "decision__instrument", "source")[:count])


def closest_whole_stop(source: Source) -> Decimal | None:
    """Return how far a stop must be away, in % of the price, for the desk's limit not to cut an entry by risk."""
    if source.sizing != Source.Sizing.RISK:
        return None
    return source.risk_pct / desk().max_order_pct * 100


def moves_real_money(source: Source) -> bool:
    """Return whether alerts of this source can move real money."""
    return source.connection.mode == "live" and source.policy != "shadow"
