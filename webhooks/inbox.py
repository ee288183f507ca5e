"""The agent at work: alerts in state *received* are the queue, decided one by one in the order they came.

One drainer at a time, by a named lock; each alert in one transaction. A kill at any point leaves the alert either
received (and it is decided again from the start) or decided with all that follows from it.

An alert on which the desk fails is tried again after pauses that grow, and is on the page Health meanwhile. Its
source waits for it at first, so that alerts keep their order through what passes by itself; later ones of other
sources do not wait at all. One that was overtaken in the end asks for nothing any more: what its source said since
is newer.
"""

import logging
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from algotrendy.database import sql
from algotrendy.events import announce
from algotrendy.isolation.rows import RowName, clean, clear, describe, write_failure
from algotrendy.locks import try_session_lock
from brokers.models import Connection
from market import selectors as market
from market.freshness import replay_speed
from market.models import Feed, Instrument, MarketKind
from memory.intents import Action, Intent
from memory.services import decide
from memory.trade_signal import TradeSignal
from webhooks.models import Alert, Source
from webhooks.parsing.alert import ParsedAlert, Unreadable, parse
from webhooks.parsing.staleness import Clock, stale_reason
from webhooks.parsing.values import intent_of
from webhooks.signals import alert_changed

logger = logging.getLogger(__name__)

LOCK = "webhooks.inbox"
TURN_SECONDS = 20.0  # then the worker is free for other tasks for a moment
MAX_FAILURES = 6  # errors of the desk: the last of five growing pauses ends about six minutes after the first
MAX_INTERRUPTED = 10  # kills, which are hardly the alert's doing
LONGEST_PAUSE = 300.0  # seconds
SOURCE_WAITS = 3  # attempts during which the source's later alerts wait
WORK = "webhooks.inbox"
KNOWN_SHOWN = 8

# What may be decided now: its pause is over, and no older alert of its source has just begun to make trouble.
_DUE = """
FROM webhooks_alert alert
WHERE state = 'received' AND (retry_at IS NULL OR retry_at <= %(now)s) AND NOT EXISTS (
    SELECT FROM webhooks_alert older
    WHERE older.state = 'received' AND older.source_id = alert.source_id AND older.id < alert.id
      AND older.retry_at > %(now)s AND older.attempts <= %(waits)s
)
"""

# Counted in a commit of its own, so that an alert which kills its worker does not do so for ever. It need not be
# flushed to disk: it has to survive the worker, not the server.
# From the second kill on, the pause before the next attempt is written down before this one begins.
_BEGIN = f"""
UPDATE webhooks_alert SET attempts = attempts + 1, retry_at = CASE WHEN attempts > failures
    THEN %(now)s + make_interval(secs => least(2 ^ (attempts - failures - 1), %(longest)s)) END
WHERE id = (SELECT id {_DUE} ORDER BY id LIMIT 1 FOR UPDATE OF alert)
RETURNING id, attempts, failures, set_config('synchronous_commit', 'off', true)
"""  # noqa: S608 (both parts are written here)
_WAITING = f"SELECT EXISTS (SELECT {_DUE})"


class Begun(NamedTuple):
    """An alert whose deciding has just begun, how often that makes, and how often it failed before."""

    alert_id: int
    attempts: int
    failures: int

    @property
    def name(self) -> RowName:
        """The alert as the page Health names it."""
        return RowName(Alert._meta.label_lower, str(self.alert_id), f"alert #{self.alert_id}")


def waiting() -> bool:
    """Return whether an alert can be decided now: one that pauses after a failure is not waited for."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, _values())
        return bool(cursor.fetchone()[0])


def _values() -> dict[str, datetime | float]:
    return {"now": timezone.now(), "waits": SOURCE_WAITS, "longest": LONGEST_PAUSE}


def drain(seconds: float = TURN_SECONDS) -> int:
    """Decide alerts until none waits or `seconds` are over, and return how many were settled.

    Returns 0 at once while another process drains. Raises OperationalError when the database is lost.
    """
    ends = time.monotonic() + seconds
    settled = 0
    while time.monotonic() < ends:
        with try_session_lock(LOCK) as acquired:
            done = _drain_locked(ends) if acquired else 0
        settled += done
        # A process that finds the lock taken leaves, so its holder checks once more after the release.
        if not done or not waiting():
            break
    return settled


def _drain_locked(ends: float) -> int:
    settled = 0
    while time.monotonic() < ends:
        begun = _begin()
        if begun is None:
            break
        settled += _attempt(begun)
    return settled


def _begin() -> Begun | None:
    """Return the oldest alert that can be decided now, begun once more, or None."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, _values())
        row = cursor.fetchone()
    return Begun(*row[:3]) if row else None


def _attempt(begun: Begun) -> int:
    """Settle one alert; return 1 if it is settled, 0 if it is to be tried again."""
    if begun.attempts - begun.failures > MAX_INTERRUPTED:
        reason = f"The desk was interrupted {MAX_INTERRUPTED} times while it decided this alert."
        write_failure(WORK, begun.name, reason)
        _give_up(begun.alert_id, reason)
        return 1
    try:
        with transaction.atomic():
            _settle(begun.alert_id)
    except (OperationalError, InterfaceError):
        _take_back_attempt(begun.alert_id)
        raise  # not the alert's fault: the sweep comes back to it
    except SoftTimeLimitExceeded:
        raise
    except Exception as problem:
        return _failed(begun, problem)
    if begun.failures:
        clear(WORK, begun.name)
    return 1


def _failed(begun: Begun, problem: Exception) -> int:
    """Write down that the desk failed on an alert; return 1 if that was the last time, 0 if it is tried again."""
    write_failure(WORK, begun.name, problem)
    failures = begun.failures + 1
    retry_at = timezone.now() + pause_after(failures)
    Alert.objects.filter(pk=begun.alert_id).update(failures=failures, retry_at=retry_at)
    if failures < MAX_FAILURES:
        return 0
    _give_up(begun.alert_id, f"The desk failed {failures} times to decide this alert: {describe(problem)}")
    return 1


def pause_after(failures: int) -> timedelta:
    """Return how long an alert is left alone after so many failures: 1, 4, 16, 64, 256 s."""
    return timedelta(seconds=min(4.0 ** (failures - 1), LONGEST_PAUSE))


def _take_back_attempt(alert_id: int) -> None:
    """Do not count an attempt that the database broke off: a disk may be full for longer than ten attempts."""
    with suppress(DatabaseError):
        Alert.objects.filter(pk=alert_id, attempts__gt=0).update(attempts=F("attempts") - 1)


def _give_up(alert_id: int, reason: str) -> None:
    with transaction.atomic():
        changed = Alert.objects.filter(pk=alert_id, state=Alert.State.RECEIVED).update(
            state=Alert.State.FAILED, reason=clean(reason)[:300], decided_at=timezone.now()
        )
        if changed:
            announce(alert_changed, Alert, alert_id=alert_id, state=str(Alert.State.FAILED))


def _settle(alert_id: int) -> None:
    """Decide one alert and write what became of it, in the caller's transaction."""
    alert = _locked(alert_id)
    if alert is None:
        return
    try:
        _decide(alert)
    except Unreadable as problem:
        alert.state, alert.reason = Alert.State.FAILED, str(problem)[:300]
    alert.decided_at = timezone.now()
    alert.save(update_fields=["state", "reason", "parsed", "instrument", "intent", "decision", "decided_at"])
    announce(alert_changed, Alert, alert_id=alert.pk, state=str(alert.state))


def _locked(alert_id: int) -> Alert | None:
    """Return an alert that is still to be decided, with its source and the source's account, and locked."""
    where = """
        WHERE webhooks_source.id = source_id AND brokers_connection.id = connection_id
          AND webhooks_alert.id = %s AND webhooks_alert.state = %s FOR UPDATE OF webhooks_alert
    """
    for alert, source, account in sql.joined(
        (Alert, Source, Connection), where, alert_id, Alert.State.RECEIVED.value
    ):
        alert.source, source.connection = source, account
        return alert
    return None


def _decide(alert: Alert) -> None:
    """Read the alert and have the agent decide it. Raises Unreadable with what is wrong with it."""
    parsed = parse(bytes(alert.body))
    alert.parsed = parsed.as_json()
    alert.intent = "" if parsed.intent == "hold" else parsed.intent
    alert.instrument = _instrument(parsed.symbol)
    too_old, overtaken = _too_old(alert, parsed, alert.instrument), _overtaken(alert)
    decision = decide(_signal(alert, parsed, alert.instrument, too_old, overtaken))
    alert.decision = decision
    wanted_to_open = parsed.intent in {Intent.LONG, Intent.SHORT}
    if overtaken or (too_old and wanted_to_open and decision.action == Action.HOLD):
        alert.state, alert.reason = Alert.State.EXPIRED, _sentence(overtaken or too_old)
    else:
        alert.state = Alert.State.DECIDED


def _overtaken(alert: Alert) -> str:
    """Return which later alert of the same source and instrument was decided while this one failed, or ""."""
    later = Alert.objects.filter(source=alert.source_id, instrument=alert.instrument, pk__gt=alert.pk)
    first = later.filter(state=Alert.State.DECIDED).order_by("id").first() if alert.failures else None
    return f"alert #{first.pk} of the same source came later and was decided first" if first else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."[:300]


def _instrument(symbol: str) -> Instrument:
    instrument = market.resolve_symbol(symbol)
    if instrument is not None:
        return instrument
    known = list(Instrument.objects.order_by("symbol").values_list("symbol", flat=True)[: KNOWN_SHOWN + 1])
    more = ", …" if len(known) > KNOWN_SHOWN else ""
    listed = f"It knows {', '.join(known[:KNOWN_SHOWN])}{more}." if known else "It knows none yet."
    raise Unreadable(f"The symbol {symbol[:40]!r} is no instrument of this desk. {listed}")


def _too_old(alert: Alert, parsed: ParsedAlert, instrument: Instrument) -> str:
    """Return why the alert may not open anything, or "".

    An alert that a person replays counts as sent now: its own time only says when it was first.
    """
    clocks = [Clock(timezone.now()), *_market_clock(instrument)]
    limit = timedelta(seconds=alert.source.staleness_seconds)
    dated = ParsedAlert("", "hold", "") if alert.replay_of_id else parsed
    return stale_reason(dated, alert.received_at, clocks, limit)


def _market_clock(instrument: Instrument) -> list[Clock]:
    """Return the clock of a replayed market: it has a time of its own, moving in bars, faster than ours."""
    quote = market.quote_of(instrument)
    if quote is None or quote.kind != MarketKind.REPLAY:
        return []
    feed = Feed.objects.filter(instruments=instrument).only("settings").first()
    speed = replay_speed(feed.settings) if feed else 1.0
    return [Clock(quote.market_time, speed, timedelta(seconds=quote.timeframe))]


def _signal(
    alert: Alert, parsed: ParsedAlert, instrument: Instrument, too_old: str, overtaken: str
) -> TradeSignal:
    source = alert.source
    notes = {"note": " ".join(parsed.notes)} if parsed.notes else {}
    return TradeSignal(
        key=f"alert-{alert.pk}",
        source=source.slug,
        policy=source.policy,
        connection=source.connection,
        instrument=instrument,
        intent=Intent.FLAT if parsed.intent == "hold" else parsed.intent,
        price=parsed.price,
        quantity=parsed.quantity,
        sizing=source.sizing,
        risk_pct=source.risk_pct,
        notional=source.notional,
        allow_short=source.allow_short,
        stale=bool(too_old),
        stale_reason=too_old,
        good_until=alert.received_at + timedelta(seconds=source.staleness_seconds),
        received_at=alert.received_at,
        tags={**parsed.tags, **notes},
        hold=overtaken or _hold_reason(parsed),
    )


def _hold_reason(parsed: ParsedAlert) -> str:
    if parsed.intent != "hold":
        return ""
    return (
        "the alert asks for nothing"
        if intent_of(parsed.action) == "hold"
        else "a partial exit: the position stays"
    )
