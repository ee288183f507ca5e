"""What a socket is sent of a topic: the whole region, or only the rows that changed since it last got one."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dashboard.live.messages import DataMessage, FragmentMessage, PatchMessage

MAX_PENDING = 64
_ROWS = re.compile(r'(?=<(?:tr|li) id=")')
_AGES = re.compile(r'(<time class="age[^>]*>)[^<]*')

Part = str | tuple[int, int]


def without_ages(html: str) -> str:
    """Return `html` without the words of its ages: the page counts them itself."""
    return _AGES.sub(r"\1", html)


def rows_of(html: str) -> list[str]:
    """Cut a region before each row that has an id. The page cuts in the same way (static/js/live.js)."""
    return [part for part in _ROWS.split(html) if part]


def changes(old: Sequence[str], new: Sequence[str]) -> list[Part]:
    """Return `new` as text where it is new and as ranges [first, last] of `old` where it is not."""
    known = {without_ages(row): index for index, row in enumerate(old)}
    parts: list[Part] = []
    for row in new:
        index = known.get(without_ages(row))
        last = parts[-1] if parts else None
        if index is None:
            parts.append(row)
        elif isinstance(last, tuple) and last[1] == index - 1:
            parts[-1] = (last[0], index)
        else:
            parts.append((index, index))
    return parts


@dataclass(frozen=True, slots=True)
class Update:
    """One state of a topic, ready to send. `patch` makes it from version `base`."""

    version: int
    text: str
    rows: tuple[str, ...] = ()
    essence: str = ""
    base: int = 0
    patch: str | None = None

    def after(self, version: int | None) -> str:
        """Return what to send to somebody who has `version` of this topic."""
        return self.patch if self.patch is not None and version == self.base else self.text


def essence_of(message: FragmentMessage | DataMessage) -> str:
    """Return what makes a message different from the last one: everything but ages."""
    if message["type"] == "fragment":
        return without_ages(message["content"])
    return json.dumps(message["data"], default=str)


def next_update(message: FragmentMessage | DataMessage, version: int, before: Update | None) -> Update | None:
    """Return the update for a rendered topic; None when nothing changed since `before`."""
    essence = essence_of(message)
    if before is not None and before.essence == essence:
        return None
    text = json.dumps({**message, "version": version}, default=str)
    if message["type"] == "data":
        return Update(version, text, essence=essence)
    rows = tuple(rows_of(message["content"]))
    if before is None:
        return Update(version, text, rows, essence)
    patch = PatchMessage(
        type="patch",
        topic=message["topic"],
        version=version,
        base=before.version,
        target=message["target"],
        swap=message["swap"],
        parts=changes(before.rows, rows),
    )
    return Update(version, text, rows, essence, before.version, json.dumps(patch))


@dataclass(eq=False)
class Subscriber:
    """One socket: what it watches, and the newest update of each topic that it has not taken yet."""

    topics: frozenset[str]
    _pending: dict[str, Update] = field(default_factory=dict)
    _has: dict[str, int] = field(default_factory=dict)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, topic: str, update: Update) -> None:
        """Keep an update for the socket; it replaces an older one of the same topic."""
        self._pending.pop(topic, None)
        self._pending[topic] = update
        if len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self._ready.set()

    def put(self, name: str, text: str) -> None:
        """Keep a message that is no topic: hello, or the state of the connection."""
        self.offer(f"!{name}", Update(0, text))

    async def take(self) -> list[str]:
        """Wait for updates and return them as text, oldest first."""
        await self._ready.wait()
        self._ready.clear()
        texts = [update.after(self._has.get(topic)) for topic, update in self._pending.items()]
        self._has |= {topic: update.version for topic, update in self._pending.items()}
        self._pending.clear()
        return texts
