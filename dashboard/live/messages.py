"""What travels to a page over the socket, and from the desk's processes to the hub. Shared by both ends."""

from typing import Literal, TypedDict

#: The Valkey channel that hints travel on.
HINTS_CHANNEL = "desk.hints"


class Hint(TypedDict):
    """ "These topics changed." It carries no data: the database is the truth."""

    type: Literal["hint"]
    topics: list[str]


class Hello(TypedDict):
    """First message on a socket. Versions count from anew in each `epoch`; `now` sets the page's clock."""

    type: Literal["hello"]
    epoch: str
    now: str


class FragmentMessage(TypedDict):
    """A live region as it is now. `target`, `swap` and `content` are what htmx's socket extension reads."""

    type: Literal["fragment"]
    topic: str
    version: int
    target: str
    swap: Literal["innerMorph"]
    content: str


class PatchMessage(TypedDict):
    """A live region in terms of version `base`: text where it is new, [first, last] for rows that stay."""

    type: Literal["patch"]
    topic: str
    version: int
    base: int
    target: str
    swap: Literal["innerMorph"]
    parts: list[str | tuple[int, int]]


class DataMessage(TypedDict):
    """JSON for a script, such as the newest candles of a chart."""

    type: Literal["data"]
    topic: str
    version: int
    data: dict[str, object]


class StateMessage(TypedDict):
    """Whether what the page shows is current. `since` is the time of the last good answer (ISO 8601, UTC)."""

    type: Literal["state"]
    state: Literal["live", "stale"]
    since: str


Message = Hello | FragmentMessage | PatchMessage | DataMessage | StateMessage
