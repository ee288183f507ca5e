"""The agent at work: alerts in state *received* are the queue, decided one by one in the order they came.

One drainer at a time, by a named lock; each alert in one transaction. A kill at any point leaves the alert either
received (and it is decided again from the start) or decided with all that follows from it.
"""

import logging
import time
from contextlib import suppress
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from algotrendy.events import announce
from algotrendy.locks import try_session_lock
from market import selectors as market
from market.freshness import DEFAULT_REPLAY_SPEED
from market.models import Feed, Instrument, MarketKind
from memory.intents import Action, Intent
from memory.services import decide
from memory.trade_signal import TradeSignal
from webhooks.models import Alert
from webhooks.parsing.alert import ParsedAlert, Unreadable, parse
from webhooks.parsing.staleness import Clock, stale_reason
from webhooks.parsing.values import intent_of
from webhooks.signals import alert_changed

logger = logging.getLogger(__name__)

LOCK = "webhooks.inbox"
TURN_SECONDS = 20.0  # then the worker is free for other tasks for a moment
MAX_ATTEMPTS = 3  # after an exception
MAX_INTERRUPTED = 10  # after kills and lost connections, which are hardly the alert's doing
KNOWN_SHOWN = 8

# Counted in a commit of its own, so that an alert which kills its worker does not do so for ever. It need not be
# flushed to disk: it has to survive the worker, not the server.
_BEGIN = """
UPDATE webhooks_alert SET attempts = attempts + 1
WHERE id = (SELECT id FROM webhooks_alert WHERE state = 'received' ORDER BY id LIMIT 1 FOR UPDATE)
RETURNING id, attempts, set_config('synchronous_commit', 'off', true)
"""


def waiting() -> bool:
    """Return whether an alert is not decided yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM webhooks_alert WHERE state = 'received')")
        return bool(cursor.fetchone()[0])


def drain(seconds: float = TURN_SECONDS) -> int:
    """Decide alerts until none waits or `seconds` are over, and return how many were settled.

    Returns 0 at once while another process drains. Raises OperationalError when the database is lost.
    """
    ends = time.monotonic() + seconds
    settled = 0
    # A process that finds the lock taken leaves, so its holder checks once more after the release.
    while waiting() and time.monotonic() < ends:
        with try_session_lock(LOCK) as acquired:
            done = _drain_locked(ends) if acquired else 0
        if not done:
            break
        settled += done
    return settled


def _drain_locked(ends: float) -> int:
    settled = 0
    while time.monotonic() < ends:
        begun = _begin()
        if begun is None:
            break
        settled += _attempt(*begun)
    return settled


def _begin() -> tuple[int, int] | None:
    """Return the oldest waiting alert and how often it was begun with this time, or None."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN)
        row = cursor.fetchone()
    return (row[0], row[1]) if row else None


def _attempt(alert_id: int, attempts: int) -> int:
    """Settle one alert; return 1 if it is settled, 0 if it is to be tried again."""
    if attempts > MAX_INTERRUPTED:
        _give_up(alert_id, f"The desk was interrupted {MAX_INTERRUPTED} times while it decided this alert.")
        return 1
    try:
        with transaction.atomic():
            _settle(alert_id)
    except (OperationalError, InterfaceError):
        _take_back_attempt(alert_id)
        raise  # not the alert's fault: the sweep comes back to it
    except SoftTimeLimitExceeded:
        raise
    except Exception as problem:
        logger.exception("alert %d was not decided, attempt %d", alert_id, attempts)
        if attempts < MAX_ATTEMPTS:
            return 0
        _give_up(alert_id, f"The desk failed {attempts} times to decide this alert: {_description(problem)}")
    return 1


def _take_back_attempt(alert_id: int) -> None:
    """Do not count an attempt that the database broke off: a disk may be full for longer than ten attempts."""
    with suppress(DatabaseError):
        Alert.objects.filter(pk=alert_id, attempts__gt=0).update(attempts=F("attempts") - 1)


def _description(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}".rstrip(": ")


def _give_up(alert_id: int, reason: str) -> None:
    with transaction.atomic():
        changed = Alert.objects.filter(pk=alert_id, state=Alert.State.RECEIVED).update(
            state=Alert.State.FAILED, reason=reason[:300], decided_at=timezone.now()
        )
        if changed:
            announce(alert_changed, Alert, alert_id=alert_id, state=str(Alert.State.FAILED))


def _settle(alert_id: int) -> None:
    """Decide one alert and write what became of it, in the caller's transaction."""
    waiting_alerts = Alert.objects.select_for_update(of=("self",)).filter(state=Alert.State.RECEIVED)
    alert = waiting_alerts.select_related("source__connection").filter(pk=alert_id).first()
    if alert is None:
        return
    try:
        _decide(alert)
    except Unreadable as problem:
        alert.state, alert.reason = Alert.State.FAILED, str(problem)[:300]
    alert.decided_at = timezone.now()
    alert.save(update_fields=["state", "reason", "parsed", "instrument", "intent", "decision", "decided_at"])
    announce(alert_changed, Alert, alert_id=alert.pk, state=str(alert.state))


def _decide(alert: Alert) -> None:
    """Read the alert and have the agent decide it. Raises Unreadable with what is wrong with it."""
    parsed = parse(bytes(alert.body))
    alert.parsed = parsed.as_json()
    alert.intent = "" if parsed.intent == "hold" else parsed.intent
    alert.instrument = _instrument(parsed.symbol)
    too_old = _too_old(alert, parsed, alert.instrument)
    decision = decide(_signal(alert, parsed, alert.instrument, too_old))
    alert.decision = decision
    wanted_to_open = parsed.intent in {Intent.LONG, Intent.SHORT}
    if too_old and wanted_to_open and decision.action == Action.HOLD:
        alert.state, alert.reason = Alert.State.EXPIRED, _sentence(too_old)
    else:
        alert.state = Alert.State.DECIDED


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
    quote = market.quote(instrument.pk)
    if quote is None or quote.kind != MarketKind.REPLAY:
        return []
    feed = Feed.objects.filter(instruments=instrument).only("settings").first()
    speed = float(feed.settings.get("speed") or DEFAULT_REPLAY_SPEED) if feed else 1.0
    return [Clock(quote.market_time, speed, timedelta(seconds=quote.timeframe))]


def _signal(alert: Alert, parsed: ParsedAlert, instrument: Instrument, too_old: str) -> TradeSignal:
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
        hold=_hold_reason(parsed),
    )


def _hold_reason(parsed: ParsedAlert) -> str:
    if parsed.intent != "hold":
        return ""
    return (
        "the alert asks for nothing"
        if intent_of(parsed.action) == "hold"
        else "a partial exit: the position stays"
    )
