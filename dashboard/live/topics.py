"""Every topic of the live pages, declared once. Pure.

A topic names what a region or a chart shows. Pages subscribe to topics, the desk's processes send hints about them
(`dashboard.receivers`), and the hub renders what is registered for them (`dashboard.live.fragments`). One that is
keyed exists once for each object: `topic(ORDER, 17)` is "order:17".
"""

SEPARATOR = ":"


class Topic(str):
    """The name of a topic, or of one for each object. It travels as the plain text that it is."""

    what: str
    keyed: bool

    def __new__(cls, name: str, what: str, *, keyed: bool = False) -> "Topic":
        """Make a topic; `what` says what changes with it, and for keyed ones which key it takes."""
        topic = super().__new__(cls, name)
        topic.what, topic.keyed = what, keyed
        return topic


DECLARED: dict[str, Topic] = {}


def _declare(name: str, what: str, *, keyed: bool = False) -> Topic:
    if name in DECLARED:
        raise ValueError(f"the topic {name} is declared twice")
    DECLARED[name] = Topic(name, what, keyed=keyed)
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
ORDER = _declare("order", "one order, by id", keyed=True)
TRADE = _declare("trade", "one round trip, by id", keyed=True)
DECISION = _declare("decision", "one decision, by id", keyed=True)
ALERT = _declare("alert", "one alert, by id", keyed=True)
SOURCE = _declare("source", "one source, by id", keyed=True)
SOURCE_SETUP = _declare("source-setup", "the first alerts of a source that is being set up, by id", keyed=True)
BROKER = _declare("broker", "one connection, by name", keyed=True)
MODEL = _declare("model", "one version of a model, by name", keyed=True)
TRAINING_RUN = _declare("training-run", "one training, by id", keyed=True)
CHART = _declare("chart", "the newest candles and marks of an instrument, by symbol", keyed=True)
PREDICTIONS = _declare("predictions", "the newest predictions on a chart, by VERSION.SYMBOL", keyed=True)

# What is only sent: it concerns every page of a keyed topic (`dashboard.live.dependencies`).
MARKS = _declare("marks", "decisions and fills that charts mark")
REGISTRY = _declare("registry", "the states of models")
PREDICTED = _declare("predicted", "predictions of any version")


def topic(name: str, key: int | str) -> str:
    """Return the topic of the object `key`."""
    return f"{name}{SEPARATOR}{key}"


def parse_topic(text: str) -> tuple[str, str]:
    """Return the name of a topic and its key, which is empty where it has none."""
    name, _, key = text.partition(SEPARATOR)
    return name, key
