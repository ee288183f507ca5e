"""Which alerts are the same alert. TradingView sends no event id and may send an alert again after a 5xx."""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime

from webhooks.parsing.fields import Fields, Unreadable, placeholder, read_fields

WINDOW_SECONDS = 60
_READABLE_ID = re.compile(r"[!-~]{1,120}")
# `"id": "{{strategy.order.id}}"` is a common slip: an order's name comes again with every trade.
_ORDER_NAME = re.compile(r"\D*(?:long|short|buy|sell|entry|exit|close|order|flat)\D*", re.I)


def identify(body: bytes, received_at: datetime) -> tuple[str, str]:
    """Return the key of an alert, unique per source, and the key it would have had in the window before.

    In this order: an explicit id; the time it fired with what it asks for; else its whole body, within 60 s only,
    as equal alerts minutes apart can both be meant. Only the last kind has a second key: its windows are fixed
    minutes, so an equal alert of the last 60 s may bear the number of this minute or of the one before.
    """
    try:
        fields = read_fields(body)
    except Unreadable:
        fields = Fields({})
    if explicit := _explicit(fields):
        return explicit, ""
    if fired := _fired(fields):
        return fired, ""
    minute = int(received_at.timestamp()) // WINDOW_SECONDS
    same = f"body:{hashlib.sha256(body).hexdigest()}"
    return f"{same}:{minute}", f"{same}:{minute - 1}"


def _value(fields: Fields, name: str) -> str:
    _, value = fields.get(name) or ("", "")
    return "" if placeholder(value) else value.strip().lower()


def _explicit(fields: Fields) -> str:
    _, event_id = fields.get("id") or ("", "")
    if not event_id or placeholder(event_id) or _ORDER_NAME.fullmatch(event_id):
        return ""
    return explicit_key(event_id)


def explicit_key(event_id: str) -> str:
    """Return the key of an alert that names its own id."""
    return f"id:{event_id}" if _READABLE_ID.fullmatch(event_id) else f"id:#{_hash([event_id])}"


def _fired(fields: Fields) -> str:
    names = ("symbol", "timenow", "order_id", "action", "market_position", "previous_position")
    parts = {name: _value(fields, name) for name in names}
    if not (parts["symbol"] and parts["timenow"] and (parts["action"] or parts["market_position"])):
        return ""
    return f"at:{_hash(parts.values())}"


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
