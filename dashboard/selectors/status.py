"""The status line on top of every page."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Min, Q
from django.utils import timezone

from brokers import selectors as brokers
from brokers.models import Connection, Desk
from brokers.money import ZERO
from market.freshness import FeedFreshness
from market.models import Feed
from market.selectors import feed_freshness, market_kinds
from webhooks.models import Alert

# An alert that has waited this long is worth a look.
SLOW_QUEUE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Worth:
    """Equity and today's P&L of the enabled connections together."""

    equity: Decimal
    day_pnl: Decimal
    unrealised: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Alerts that wait for their decision."""

    length: int
    oldest: datetime | None

    @property
    def is_slow(self) -> bool:
        """Whether the oldest has waited longer than it should."""
        return self.oldest is not None and (timezone.now() - self.oldest).total_seconds() > SLOW_QUEUE_SECONDS


@dataclass(frozen=True, slots=True)
class Status:
    """All that the status line shows."""

    desk: Desk
    state: str
    kinds: list[str]
    modes: list[str]
    broken: list[Connection]
    worth: Worth | None
    positions: int
    alert_at: datetime | None
    candle_at: datetime | None
    stale: list[FeedFreshness]
    queue: Queue


def usual_market() -> str:
    """Return how real the desk's prices are where all are alike; empty where each needs its own mark."""
    kinds = market_kinds()
    return kinds.pop() if len(kinds) == 1 else ""


def worth(connections: list[Connection]) -> Worth | None:
    """Return what `connections` are worth together; None when there is none. Two queries for each."""
    if not connections:
        return None
    parts = [brokers.equity(connection) for connection in connections]
    return Worth(
        equity=sum((part.equity for part in parts), ZERO),
        day_pnl=sum((part.day_pnl for part in parts), ZERO),
        unrealised=sum((part.unrealised_pnl for part in parts), ZERO),
        currency=connections[0].currency,
    )


def queue() -> Queue:
    """Return how many alerts wait and since when."""
    due = Q(retry_at=None) | Q(retry_at__lte=timezone.now())  # one that pauses after a failure is on Health
    received = Alert.objects.filter(state=Alert.State.RECEIVED)
    waiting = received.aggregate(n=Count("id"), oldest=Min("received_at", filter=due))
    return Queue(waiting["n"], waiting["oldest"])


def last_alert_at() -> datetime | None:
    """Return the wall time of the newest alert."""
    return Alert.objects.order_by("-id").values_list("received_at", flat=True).first()


def enabled_connections() -> list[Connection]:
    """Return the connections in use, by name."""
    return list(Connection.objects.filter(enabled=True).order_by("id"))


def _last_candle(feeds: list[Feed]) -> datetime | None:
    return max((feed.last_candle_at for feed in feeds if feed.last_candle_at), default=None)


def status() -> Status:
    """Return the status of the desk now. A constant number of queries, all served by an index."""
    desk = brokers.desk()
    connections = enabled_connections()
    feeds = feed_freshness()
    return Status(
        desk=desk,
        state=brokers.effective_state(desk),
        kinds=sorted(market_kinds()),
        modes=sorted({connection.mode for connection in connections}),
        broken=[row for row in connections if row.health == Connection.Health.ERROR],
        worth=worth(connections),
        positions=brokers.open_positions().count(),
        alert_at=last_alert_at(),
        candle_at=_last_candle([fresh.feed for fresh in feeds]),
        stale=[fresh for fresh in feeds if fresh.stale],
        queue=queue(),
    )
