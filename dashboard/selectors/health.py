"""The parts of the desk for the health page: each with its state, a figure, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db import connection as database
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from algotrendy.isolation.models import RowFailure
from algotrendy.monitoring.health import check_valkey
from algotrendy.retention.models import Removal
from algotrendy.supervisor.disk import Space, space
from brokers import selectors as brokers
from brokers.models import Connection, Desk, Order
from dashboard.formatting import counted, duration
from dashboard.live import broken
from dashboard.models import HEARTBEAT_SECONDS, Heartbeat, Reconciliation
from dashboard.selectors import ml_models, schedule, status
from market.bars import timeframe_text
from market.freshness import FeedFreshness
from market.selectors import feed_freshness
from memory.models import Outcome
from mlmodels.models import TrainingRun
from webhooks.models import Alert

State = Literal["ok", "warn", "bad", "off"]
ORDER: tuple[State, ...] = ("bad", "warn", "ok", "off")
QUEUES = {"trade": "Trade worker", "training": "Training worker"}
BEATS_OF_PATIENCE = 3
RECENT = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the desk. `todo` says what is safe and what to do; empty where all is well."""

    name: str
    state: State
    value: str
    text: str = ""
    todo: str = ""
    link: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong lately, with a link to it."""

    at: datetime
    what: str
    text: str
    link: str


def parts() -> list[Part]:
    """Return all parts in the order of the page. Asks Valkey and a constant number of queries per connection."""
    return [
        desk_part(),
        *feed_parts(),
        queue_part(),
        *worker_parts(),
        schedule_part(),
        database_part(),
        disk_part(space(settings.DATA_DIR)),
        valkey_part(check_valkey()),
        live_part(),
        doubt_part(),
        *failing_parts(),
        *venue_parts(),
        memory_part(),
        *model_parts(),
    ]


def worst(parts: Sequence[Part]) -> State:
    """Return the worst state of all parts."""
    return min((part.state for part in parts), key=ORDER.index, default="ok")


def desk_part() -> Part:
    """The desk's own state."""
    row = brokers.desk()
    state = brokers.effective_state(row)
    link = reverse("desk_state")
    if state == Desk.State.ACTIVE:
        return Part("Desk", "ok", "Active", "entries and exits leave", link=link)
    if state == Desk.State.REDUCING:
        return Part("Desk", "warn", "Reducing", row.reason, "Only exits leave. An admin can resume.", link)
    todo = "No order leaves; positions and orders at the venue stay. An admin can resume after looking into it."
    return Part("Desk", "bad", "Halted", row.reason, todo, link)


def feed_parts() -> list[Part]:
    """Each feed with its freshness."""
    parts = [_feed(fresh) for fresh in feed_freshness()]
    return parts or [
        Part("Feeds", "off", "None", "No feed is switched on.", "Give an instrument a feed: ./mem feeds")
    ]


def _feed(fresh: FeedFreshness) -> Part:
    name = f"Feed {fresh.feed.name}"
    value = fresh.kind.label
    if not fresh.feed.enabled:
        return Part(name, "off", value, fresh.text)
    if not fresh.stale:
        text = f"candles of {timeframe_text(fresh.feed.timeframe)}"
        return Part(name, "ok", value, text, at=fresh.feed.last_candle_at)
    todo = (
        "Stops and targets at a venue keep working. New decisions rest on the last price known. "
        "./mem doctor says whether the feed process runs."
    )
    return Part(name, "bad", value, fresh.text, todo, at=fresh.feed.last_candle_at)


def queue_part() -> Part:
    """Alerts that wait for their decision."""
    waiting = status.queue()
    link = reverse("alerts") + "?state=received"
    if not waiting.length:
        return Part("Queue", "ok", "Empty", "every alert is decided", link=link)
    text = f"{waiting.length} alert{'s' if waiting.length != 1 else ''} undecided"
    if not waiting.is_slow:
        return Part("Queue", "ok", "Moving", text, link=link, at=waiting.oldest)
    todo = "Nothing is lost: alerts are decided in order once the trade worker and Valkey are back."
    return Part("Queue", "bad", "Stuck", f"{text}, the oldest waits", todo, link, waiting.oldest)


def worker_parts() -> list[Part]:
    """Each queue's worker by its last sign of life."""
    beats = {beat.queue: beat for beat in Heartbeat.objects.filter(queue__in=QUEUES)}
    return [_worker(name, beats.get(queue)) for queue, name in QUEUES.items()]


def _worker(name: str, beat: Heartbeat | None) -> Part:
    if beat is None:
        return Part(name, "warn", "Not seen yet", "it reports within seconds of the start", "./mem doctor")
    age = (timezone.now() - beat.at).total_seconds()
    where = f"process {beat.pid} on {beat.host}"
    if age <= BEATS_OF_PATIENCE * HEARTBEAT_SECONDS:
        slow = f", took {beat.waited_seconds:.1f} s to start" if (beat.waited_seconds or 0) > 1 else ""
        return Part(name, "ok", "Alive", where + slow, at=beat.at)
    todo = (
        "Alerts are still taken in and kept. Beat, Valkey or the worker has stopped: ./mem up restarts a dead "
        "process by itself; its log says why it died."
    )
    return Part(name, "bad", f"Silent for {duration(age)}", where, todo, at=beat.at)


def database_part() -> Part:
    """PostgreSQL's version and the size of the desk's data."""
    with database.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), pg_database_size(current_database())")
        version, size = cursor.fetchone()
    text = f"PostgreSQL {version.split()[0]}, {size / 1e6:,.0f} MB; {removed_text()}"
    return Part("Database", "ok", "Answers", text)


def removed_text() -> str:
    """Return in words what was last removed because it was old."""
    rows = list(Removal.objects.filter(ended_at__isnull=False))
    if not rows:
        return "nothing old was removed yet"
    last = max(row.ended_at for row in rows if row.ended_at)
    what = ", ".join(f"{row.removed:,} {row.name}" for row in rows if row.removed) or "nothing was old enough"
    return f"removed last, {last:%d %b %H:%M} UTC: {what}"


def disk_part(room: Space) -> Part:
    """The room on the disk of the data folder."""
    value = "Broken" if room.broken else "Full" if room.full else "Low" if room.low else "Has room"
    return Part("Disk", "bad" if room.full else "warn" if room.low else "ok", value, room.text, room.advice)


def valkey_part(answer: str) -> Part:
    """Valkey by its answer to a PING."""
    if answer == "ok":
        return Part("Valkey", "ok", "Answers", "carries nudges and live updates")
    todo = (
        "Safe: alerts are kept, orders at venues stand. Decisions wait until it is back; pages ask the database "
        "every few seconds meanwhile. ./mem up restarts it by itself."
    )
    return Part("Valkey", "bad", "No answer", answer, todo)


def live_part() -> Part:
    """The live regions of the process that answers."""
    regions = broken.regions()
    if not regions:
        return Part("Live pages", "ok", "All regions", "what is open is kept current")
    first = regions[0]
    text = f"{len(regions)} of the open regions can't be shown; first {first.topic}: {first.error}"
    todo = "The other regions go on. The log has the whole error; reload the page to see whether it lasts."
    return Part("Live pages", "bad", "Fails in part", text, todo, at=first.since)


def schedule_part() -> Part:
    """Whether every task of beat's schedule succeeds in time."""
    link = reverse("admin:django_celery_beat_periodictask_changelist")
    if not PeriodicTask.objects.exists():
        return Part("Schedule", "off", "Not made yet", "beat writes it when it first starts", link=link)
    problems = schedule.problems()
    if not problems:
        return Part("Schedule", "ok", "On time", "each task succeeded when it was due", link=link)
    todo = "What the task looks after stands still; nothing is lost. The worker's log says more."
    return Part("Schedule", "bad", str(len(problems)), "; ".join(problems[:RECENT]), todo, link)


def doubt_part() -> Part:
    """Orders whose fate is not known."""
    rows = Order.objects.filter(state__in=Order.IN_DOUBT).values_list("state").annotate(n=Count("id")).order_by()
    counts = dict(rows)
    review, unknown = counts.get("needs_review", 0), counts.get("unknown", 0)
    link = reverse("orders")
    if not review and not unknown:
        return Part("Orders in doubt", "ok", "None", link=link)
    text = f"{unknown} being looked up, {review} for you to decide"
    todo = "Entries of these instruments wait. Nothing is sent twice. See Orders for what to do about each."
    return Part("Orders in doubt", "bad" if review else "warn", str(review + unknown), text, todo, link)


def failing_parts() -> list[Part]:
    """How many rows some work of the desk can't handle; no part while there are none."""
    count = RowFailure.objects.count()
    if not count:
        return []
    text = f"{count} row{'s' if count != 1 else ''} can't be handled; everything else goes on"
    return [Part("Rows that fail", "bad", str(count), text, "Each is listed below with what to do about it.")]


def venue_parts() -> list[Part]:
    """Each connection: whether the venue answers, and whether both books agree."""
    known = {row.connection_id: row for row in Reconciliation.objects.all()}
    rows = Connection.objects.filter(enabled=True).order_by("id")
    return [_venue(connection, known.get(connection.pk)) for connection in rows]


def _venue(connection: Connection, result: Reconciliation | None) -> Part:
    name, link = f"Connection {connection.name}", reverse("broker", args=[connection.name])
    mode = connection.get_mode_display()
    if connection.health == Connection.Health.ERROR:
        todo = "Orders that may or may not have arrived are looked up, never sent again. See the connection."
        return Part(name, "bad", mode, connection.last_error[:200], todo, link, connection.last_synced_at)
    if result is None:
        return Part(name, "ok", mode, "books are compared every ten minutes", link=link)
    if result.error:
        return Part(name, "warn", mode, f"could not compare books: {result.error[:200]}", "", link, result.at)
    if result.differences:
        text = f"{counted(len(result.differences), 'difference')}: {result.differences[0]}"
        todo = "Compare the two sides under Brokers before trading on."
        return Part(name, "bad", mode, text, todo, link, result.at)
    return Part(name, "ok", mode, f"our books equal the venue's{_history(result)}", link=link, at=result.at)


def _history(result: Reconciliation) -> str:
    """Say when all of it was compared: every ten minutes it is what changed, and what is open."""
    return f"; all history was compared {result.verified_at:%d %b %H:%M} UTC" if result.verified_at else ""


def memory_part() -> Part:
    """Outcomes that still run."""
    running = Outcome.objects.filter(state=Outcome.State.OPEN).order_by()[:1000].count()
    text = f"{'1,000 or more' if running >= 1000 else running} outcomes run"
    return Part("Memory", "ok", "Learning", text, link=reverse("decisions"))


def model_parts() -> list[Part]:
    """Each market with its champion, whether that is expired, and how the last training went."""
    return [_model(family) for family in ml_models.family_states()]


def _model(family: ml_models.FamilyState) -> Part:
    name, current, last = f"Model {family.key.slug}", family.speaking, family.last
    link = reverse("models")
    champion = current.champion
    if last is not None and last.state == TrainingRun.State.FAILED:
        safe = f"{champion.name} still speaks." if champion and not current.expired else "Decisions go on without."
        todo = f"{safe} The training's page says what to do; the next one runs by itself."
        return Part(name, "warn", "Training failed", last.error[:300], todo, reverse("model_run", args=[last.pk]))
    if champion is None:
        return Part(name, "off", "Nobody speaks", family.inactive_reason, link=link)
    if family.inactive_reason:
        todo = "Decisions go on without a model. A retrain that passes the gate speaks at once: Models → Train."
        return Part(name, "warn", "Silent", family.inactive_reason, todo, link, champion.promoted_at)
    return Part(name, "ok", "Speaks", champion.name, link=link, at=champion.promoted_at)


def troubles() -> list[Trouble]:
    """Return the newest failures of alerts and orders, newest first."""
    alerts = Alert.objects.filter(state=Alert.State.FAILED).only("id", "received_at", "reason").order_by("-id")
    failures = [
        Trouble(alert.received_at, f"Alert #{alert.pk} failed", alert.reason, reverse("alert", args=[alert.pk]))
        for alert in alerts[:RECENT]
    ]
    orders = Order.objects.filter(pk__in=_recent_orders(), state__in=["rejected", "denied", "needs_review"])
    failures += [
        Trouble(
            order.updated_at,
            f"Order #{order.pk} {order.get_state_display().lower()}",
            order.reason,
            reverse("order", args=[order.pk]),
        )
        for order in orders.order_by("-id")[:RECENT]
    ]
    return sorted(failures, key=lambda trouble: trouble.at, reverse=True)[:RECENT]


def _recent_orders() -> list[int]:
    """Return the ids of the newest orders: a search for rare states would read the whole table."""
    return list(Order.objects.order_by("-id").values_list("id", flat=True)[:500])
