"""Every topic of the live pages, declared once. Pure.

A topic names what a region or a chart shows. Pages subscribe to topics, the desk's processes send hints about them
(`dashboard.receivers`), and the hub renders what is registered for them (`dashboard.live.fragments`). One that is
keyed exists once for each object: `topic(ORDER, 17)` is "order:17". Keys come from the address of a socket: each
topic says which it takes, and nothing else reaches a query.
"""

import re
from typing import Literal

SEPARATOR = ":"
MAX_NAME = 200  # characters; the longest name of a version and an instrument with it
MAX_ID = 2**63 - 1
_ID = re.compile(r"[1-9][0-9]{0,18}")

#: What a topic is keyed by: nothing, an object's id, or its name.
Keys = Literal["", "id", "name"]


def id_of(key: str) -> int | None:
    """Return the id that a key is, or None: plain digits only, and no more than a bigint of PostgreSQL holds."""
    number = int(key) if _ID.fullmatch(key) else 0
    return number if 0 < number <= MAX_ID else None


def is_name(key: str) -> bool:
    """Return whether a key can be the name of something: printable, so neither NUL nor half a character."""
    return 0 < len(key) <= MAX_NAME and key.isprintable()


class Topic(str):
    """The name of a topic, or of one for each object. It travels as the plain text that it is."""

    what: str
    keys: Keys

    def __new__(cls, name: str, what: str, *, keys: Keys = "") -> "Topic":
        """Make a topic; `what` says what changes with it, `keys` what tells its objects apart."""
        topic = super().__new__(cls, name)
        topic.what, topic.keys = what, keys
        return topic

    @property
    def keyed(self) -> bool:
        """Whether it exists once for each object."""
        return bool(self.keys)

    def takes(self, key: str) -> bool:
        """Return whether `key` can be one of this topic's; an empty one is none."""
        if self.keys == "id":
            return id_of(key) is not None
        return is_name(key) if self.keys == "name" else not key


DECLARED: dict[str, Topic] = {}


def _declare(name: str, what: str, keys: Keys = "") -> Topic:
    if name in DECLARED:
        raise ValueError(f"the topic {name} is declared twice")
    DECLARED[name] = Topic(name, what, keys=keys)
    return DECLARED[name]


# What exists once.
STATUS = _declare("status", "the status line of every page")
DESK_STATE = _declare("desk-state", "whether the desk trades, and who decided that")
DESK_MODELS = _declare("desk-models", "the line about models on the desk")
POSITIONS = _declare("positions", "the open positions")
STREAM = _declare("stream", "the newest decisions, one line each")
EQUITY = _declare("equity", "the equity now, for the curve")
ALERTS = _declare("alerts", "the first page of the inbox")
DECISIONS = _declare("decisions", "the first page of decisions")
ORDERS = _declare("orders", "the open orders and the newest of all")
ORDER_TROUBLE = _declare("order-trouble", "the orders whose fate is not known")
TRADES = _declare("trades", "the newest trades and their record")
SOURCES = _declare("sources", "all sources with their figures")
BROKERS = _declare("brokers", "all connections to venues")
HEALTH = _declare("health", "every part of the desk and the last errors")
TRAINING = _declare("training", "the trainings that run or wait")
MODELS = _declare("models", "all versions, champions and promotions")
PROOF = _declare("proof", "the runs of the honesty suite")

# What exists once for each object.
ORDER = _declare("order", "one order", "id")
TRADE = _declare("trade", "one round trip", "id")
DECISION = _declare("decision", "one decision", "id")
ALERT = _declare("alert", "one alert", "id")
SOURCE = _declare("source", "one source", "id")
SOURCE_SETUP = _declare("source-setup", "the first alerts of a source that is being set up", "id")
BROKER = _declare("broker", "one connection", "name")
MODEL = _declare("model", "one version of a model", "name")
MODEL_SINCE = _declare("model-since", "how a version does since its promotion", "name")
TRAINING_RUN = _declare("training-run", "one training", "id")
CHART = _declare("chart", "the newest candles and marks of an instrument", "name")
PREDICTIONS = _declare("predictions", "the newest predictions on a chart, by VERSION.SYMBOL", "name")

# What is only sent: it concerns every page of a keyed topic (`dashboard.live.dependencies`).
MARKS = _declare("marks", "decisions, fills, stops and targets that charts draw")
REGISTRY = _declare("registry", "the states of models")
PREDICTED = _declare("predicted", "predictions of any version")


def topic(name: str, key: int | str) -> str:
    """Return the topic of the object `key`."""
    return f"{name}{SEPARATOR}{key}"


def parse_topic(text: str) -> tuple[str, str]:
    """Return the name of a topic and its key, which is empty where it has none."""
    name, _, key = text.partition(SEPARATOR)
    return name, key
