"""Writes of the webhooks: sources and their tokens, keys of the API, alerts that people send again or for a test.

Tokens and keys are returned once, to be shown once. What a person does is written to Django's log.
"""

import json
import secrets
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypedDict, Unpack

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from algotrendy.events import announce, nudge_after_commit
from algotrendy.history.changes import differences, note
from algotrendy.isolation.rows import clear, name_of
from algotrendy.locks import lock_in_transaction
from brokers.models import Connection
from brokers.services import ensure_default_connection
from memory.intents import Policy
from webhooks import addresses, keys
from webhooks.models import ADD_ALERTS_LOCK, Alert, ApiKey, Source
from webhooks.signals import alert_changed

GRACE = timedelta(hours=24)
DEMO_NAME = "Demo: EMA 9/21 cross"
User = AbstractBaseUser | None


class SourceSettings(TypedDict, total=False):
    """What alerts of a source may do, as the fields of the model."""

    policy: str
    sizing: str
    risk_pct: Decimal
    notional: Decimal | None
    staleness_seconds: int
    allow_short: bool
    silence_hours: int
    allowed_networks: list[str]


class SourceChanges(SourceSettings, total=False):
    """What `update_source` may change. Tokens and the secret have services of their own."""

    name: str
    connection: Connection


LABELS = {
    "risk_pct": "risk per entry, % of equity",
    "notional": "value per entry",
    "staleness_seconds": "staleness limit, s",
    "allow_short": "may go short",
    "silence_hours": "hours of silence",
    "allowed_networks": "allowed addresses",
}
CHANGEABLE: frozenset[str] = SourceChanges.__optional_keys__


class NotForDemo(Exception):
    """The demo's token is derived and can't be changed."""


class SourceRevoked(Exception):
    """Nothing can be sent in the name of a source that was revoked."""


@transaction.atomic
def create_source(
    *,
    name: str,
    connection: Connection,
    by: User = None,
    token: str | None = None,
    is_demo: bool = False,
    **settings: Unpack[SourceSettings],
) -> tuple[Source, str]:
    """Make a source and return it with its token, which can't be read again.

    Raises IntegrityError when the name is taken, ValueError for an allow-list that can't be read.
    """
    addresses.networks(tuple(settings.get("allowed_networks") or ()))
    token = token or keys.new_token()
    source = Source.objects.create(
        name=name,
        slug=_free_slug(name),
        connection=connection,
        token_hash=keys.digest(token),
        token_hint=keys.hint(token),
        created_by_id=by.pk if by else None,
        is_demo=is_demo,
        **settings,
    )
    note(by, source, "made the source")
    return source, token


def _free_slug(name: str) -> str:
    """Return a slug that no source has: decisions name their source by it for good."""
    base = slugify(name)[:40] or "source"
    taken = set(Source.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    candidates = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(slug for slug in candidates if slug not in taken)


@transaction.atomic
def create_demo_source() -> Source:
    """Make the demo source on the first paper connection (made if there is none) and return it. Idempotent."""
    existing = Source.objects.filter(is_demo=True, revoked_at=None).first()
    if existing:
        return existing
    source, _ = create_source(
        name=DEMO_NAME,
        connection=ensure_default_connection(),
        token=demo_token(),
        policy=Policy.FOLLOW.value,
        is_demo=True,
    )
    return source


def demo_token() -> str:
    """Return the demo's token: derived from the desk's own key, so that it need not be stored to be used."""
    return keys.derived_token("demo")


@transaction.atomic
def update_source(*, source: Source, by: User = None, **changes: Unpack[SourceChanges]) -> Source:
    """Change what a source may do, for alerts decided from now on. Raises ValueError for an unknown setting."""
    if unknown := set(changes) - CHANGEABLE:
        raise ValueError(f"no settings of a source: {', '.join(sorted(unknown))}")
    addresses.networks(tuple(changes.get("allowed_networks") or ()))
    before = Source.objects.select_for_update().get(pk=source.pk)
    changed = {name: value for name, value in changes.items() if getattr(before, name) != value}
    words = differences({name: getattr(before, name) for name in changed}, changed, LABELS)
    for name, value in changed.items():
        setattr(source, name, value)
    source.save(update_fields=list(changed))
    if changed:
        note(by, source, words)
    return source


@transaction.atomic
def rotate_token(*, source: Source, by: User = None, grace: timedelta = GRACE) -> str:
    """Give a source a new token and return it; the old one goes on for `grace`. Raises NotForDemo."""
    if source.is_demo:
        raise NotForDemo("the demo's token is derived from the desk's own key and can't be rotated")
    token = keys.new_token()
    locked = Source.objects.select_for_update().get(pk=source.pk)
    source.previous_token_hash = locked.token_hash if grace else ""
    source.previous_until = timezone.now() + grace if grace else None
    source.token_hash, source.token_hint = keys.digest(token), keys.hint(token)
    source.save(update_fields=["previous_token_hash", "previous_until", "token_hash", "token_hint"])
    note(by, source, "gave the source a new token")
    return token


@transaction.atomic
def set_body_secret(*, source: Source, secret: str, by: User = None) -> None:
    """Ask for `secret` in the body of every alert of a source; an empty one asks for none."""
    source.body_secret_hash = keys.digest(secret) if secret else ""
    source.save(update_fields=["body_secret_hash"])
    note(by, source, "changed the body secret" if secret else "removed the body secret")


@transaction.atomic
def revoke(*, source: Source, by: User = None) -> None:
    """End a source's tokens for good, within a second. What was accepted before is still decided."""
    revoked = Source.objects.filter(pk=source.pk, revoked_at=None).update(revoked_at=timezone.now())
    source.refresh_from_db(fields=["revoked_at"])
    if revoked:
        note(by, source, "revoked the source")


@transaction.atomic
def create_key(*, name: str, scope: str = ApiKey.Scope.READ, by: User = None) -> tuple[ApiKey, str]:
    """Make a key of the JSON API and return it with its text, which can't be read again.

    Raises IntegrityError when the name is taken.
    """
    key = keys.new_token()
    row = ApiKey.objects.create(
        name=name, key_hash=keys.digest(key), key_hint=keys.hint(key), scope=ApiKey.Scope(scope)
    )
    note(by, row, f"made the key with scope {row.scope}")
    return row, key


@transaction.atomic
def revoke_key(*, key: ApiKey, by: User = None) -> None:
    """End a key for good."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        note(by, key, "revoked the key")
    key.refresh_from_db(fields=["revoked_at"])


@transaction.atomic
def replay_alert(*, alert: Alert, by: User = None) -> Alert:
    """Store an alert again as a new one, decided by what is known now. Raises SourceRevoked."""
    replay = _store_alert(
        source=alert.source,
        body=bytes(alert.body),
        content_type=alert.content_type,
        key=f"replay:{alert.pk}:{secrets.token_hex(8)}",
        replay_of=alert,
    )
    clear("webhooks.inbox", name_of(alert))
    note(by, alert, f"replayed it as #{replay.pk}", name=f"Alert #{alert.pk}")
    return replay


@transaction.atomic
def send_test(*, source: Source, symbol: str, action: str, by: User = None) -> Alert:
    """Store a test alert as if the source had sent it. Raises SourceRevoked."""
    body = json.dumps({"symbol": symbol, "action": action, "comment": "test alert"}).encode()
    key = f"test:{secrets.token_hex(12)}"
    alert = _store_alert(source=source, body=body, content_type="application/json", key=key)
    note(by, alert, f"sent it as a test: {action} {symbol}", name=f"Alert #{alert.pk}")
    return alert


def _store_alert(
    *, source: Source, body: bytes, content_type: str, key: str, replay_of: Alert | None = None
) -> Alert:
    """Store an alert in the caller's transaction."""
    # The same lock as the door's: ids follow the order of commits, so that alerts are decided in that order.
    lock_in_transaction(ADD_ALERTS_LOCK)
    if Source.objects.get(pk=source.pk).revoked_at:
        raise SourceRevoked(f"the source {source.name} is revoked")
    alert = Alert.objects.create(
        source=source,
        body=body,
        content_type=content_type,
        idempotency_key=key,
        replay_of=replay_of,
        received_at=timezone.now(),
    )
    nudge_after_commit("webhooks.work_inbox")
    announce(alert_changed, Alert, alert_id=alert.pk, state=str(alert.state))
    return alert


def forget_old_tokens(now: datetime | None = None) -> int:
    """Delete the hashes of rotated tokens whose grace is over; return how many."""
    expired = Source.objects.filter(previous_until__lte=now or timezone.now())
    return expired.update(previous_token_hash="", previous_until=None)
