"""What the inbox shows of alerts: filters, bodies as they came, and reasons in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet

from market.models import Instrument
from webhooks.inbox import MAX_FAILURES, MAX_INTERRUPTED
from webhooks.models import Alert, Source

M = TypeVar("M", bound=Model)
SHOWN_BYTES = 65_536
HEX_BYTES = 256


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; empty fields narrow nothing."""

    state: str = ""
    source: str = ""
    instrument: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filters":
        """Read filters from a query string; an unknown state counts as none."""
        state = query.get("state", "")
        known = state if state in Alert.State.values else ""
        return cls(known, query.get("source", "")[:50], query.get("instrument", "")[:32])

    @property
    def any(self) -> bool:
        """Whether anything is narrowed."""
        return bool(self.state or self.source or self.instrument)


def with_decision(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Fetch along what a row shows."""
    return alerts.select_related("source", "instrument", "decision__instrument", "replay_of")


def alerts(chosen: Filters) -> QuerySet[Alert]:
    """Return alerts without their bodies. Unknown names give an empty list."""
    rows = with_decision(Alert.objects.defer("body"))
    if chosen.state:
        rows = rows.filter(state=chosen.state)
    # Ids instead of joins: the indexes of (source, id) and (instrument, id) serve the order as well.
    if chosen.source:
        rows = rows.filter(source_id=_id(Source.objects.filter(slug=chosen.source)))
    if chosen.instrument:
        rows = rows.filter(instrument_id=_id(Instrument.objects.filter(symbol=chosen.instrument)))
    return rows


def _id(rows: QuerySet[M]) -> int:
    """Return the id, or one that nothing has."""
    return rows.values_list("pk", flat=True).first() or 0


def choices() -> dict[str, object]:
    """Return what can be chosen in the filters."""
    return {
        "states": Alert.State.choices,
        "sources": list(Source.objects.order_by("name").values_list("slug", "name")[:200]),
        "instruments": list(Instrument.objects.order_by("symbol").values_list("symbol", flat=True)[:500]),
    }


@dataclass(frozen=True, slots=True)
class Body:
    """A body for the page: text with what can't be read replaced, in hexadecimal too where that lost something."""

    text: str
    size: int
    binary: bool
    truncated: bool
    hex_lines: tuple[str, ...]


def body_of(alert: Alert) -> Body:
    """Return the body as it came. It is untrusted: the template escapes it."""
    raw = bytes(alert.body)
    text = raw[:SHOWN_BYTES].decode("utf-8", errors="replace")
    binary = "\ufffd" in text or any(ord(char) < 32 and char not in "\t\n\r" for char in text)
    shown = "".join(char if ord(char) >= 32 or char in "\t\n\r" else "\ufffd" for char in text)
    return Body(shown, len(raw), binary, len(raw) > SHOWN_BYTES, hex_dump(raw[:HEX_BYTES]) if binary else ())


def hex_dump(raw: bytes) -> tuple[str, ...]:
    """Return lines of sixteen bytes: offset, hexadecimal, ASCII."""
    return tuple(
        f"{start:04x}  {raw[start : start + 16].hex(' '):<47}  {_ascii(raw[start : start + 16])}"
        for start in range(0, len(raw), 16)
    )


def _ascii(raw: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in raw)


FIELD_NAMES = {
    "symbol": "Symbol",
    "intent": "Asks for",
    "action": "Action",
    "price": "Price",
    "quantity": "Quantity",
    "order_id": "Order id",
    "timenow": "Fired at",
    "bar_time": "Bar",
    "interval": "Interval, s",
    "market_position": "Position after",
    "previous_position": "Position before",
    "position_size": "Position size",
}


def fields_of(alert: Alert) -> list[tuple[str, str]]:
    """Return what was understood, in the desk's words; further numbers come last."""
    parsed = alert.parsed or {}
    rows = [
        (label, str(parsed[name])) for name, label in FIELD_NAMES.items() if parsed.get(name) not in (None, "")
    ]
    return rows + [(name, str(value)) for name, value in (parsed.get("tags") or {}).items()]


ADVICE_ON_SYMBOL = (
    "The desk must know an instrument before it can trade it: add it under Instruments in the admin pages, give "
    "it a feed, then replay this alert."
)
ADVICE_ON_FAILURE = (
    "Correct the message at the sender (the source's set-up page has messages that work) and send it again; a "
    "replay of this one would fail the same way."
)
ADVICE_ON_AGE = (
    "It may still close a position, but not open one. If alerts are often late, look at the sender's clock and at "
    "the network, or raise the staleness limit of the source."
)
ADVICE_ON_OVERTAKING = "What the source said later counts. This one ordered nothing."
ADVICE_ON_DESK = (
    "The message is not at fault: the desk itself failed on it, and nothing was ordered. Mend what the reason "
    "names, then replay this alert: it is decided by what is known then."
)


def headline(alert: Alert) -> str:
    """Return in one line why an alert needs a look; only for one that `advice` has something to say about."""
    if alert.state == Alert.State.RECEIVED:
        return "Not decided yet"
    if alert.state == Alert.State.FAILED and not _desk_failed(alert):
        return f"Not understood: {alert.reason}"
    return alert.reason or "Came too late to open a position"


def _desk_failed(alert: Alert) -> bool:
    """Return whether it was the desk that failed on an alert, and not the sender."""
    return alert.failures > 0 or alert.attempts > MAX_INTERRUPTED


def advice(alert: Alert) -> str:
    """Return what to do about an alert that failed or came too late; empty if nothing needs doing."""
    if alert.state == Alert.State.RECEIVED:
        return _advice_on_retry(alert)
    if alert.state == Alert.State.EXPIRED:
        return ADVICE_ON_OVERTAKING if alert.failures else ADVICE_ON_AGE
    if alert.state != Alert.State.FAILED:
        return ""
    if _desk_failed(alert):
        return ADVICE_ON_DESK
    return ADVICE_ON_SYMBOL if alert.parsed else ADVICE_ON_FAILURE


def _advice_on_retry(alert: Alert) -> str:
    if not alert.failures or alert.retry_at is None:
        return ""
    times = "once" if alert.failures == 1 else f"{alert.failures} times"
    return (
        f"The desk failed on it {times} and tries again at {alert.retry_at:%H:%M:%S} UTC, {MAX_FAILURES} times in "
        "all. The page Health says why."
    )
