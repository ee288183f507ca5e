"""Live regions: one template and one context function, used by the page and by every live update.

To add one, write a context function and decorate it. Its module must be one that `dashboard.urls` imports: whoever
starts the hub (`algotrendy.asgi`) imports that first, and so all regions are registered::

    from dashboard.live import topics
    from dashboard.live.fragments import Context, fragment

    @fragment(topics.ALERTS, "fragments/alerts.html")
    def alerts(key: str) -> Context:          # key is "" here
        return {"alerts": selectors.newest_alerts(50)}

    @fragment(topics.ALERT, "fragments/alert.html")      # declared as keyed
    def alert(key: str) -> Context | None:    # key is "17" in topic "alert:17"; None: there is no such thing
        ...

On the page: ``{% load desk %}{% live "alerts" %}`` or ``{% live "alert" alert.pk %}``. That renders the region,
and the page subscribes to its topic by itself. Senders of hints name the same topic (`dashboard.receivers`).

A fragment is rendered once for everybody, without a request: no CSRF token, no user, no role in it. Actions are
links to a page that asks (`<a class="button needs-trader" data-dialog href=…>`); CSS hides `needs-trader` and
`needs-admin` from those who may not, and the view refuses them. Give rows an `id` so that a morph finds them, and
cells that should flash when they change a `data-flash`. Context functions must ask a constant number of queries.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from dashboard.live.topics import SEPARATOR, Topic, parse_topic

Context = dict[str, object]
ContextFunction = Callable[[str], Context | None]


class UnknownTopic(LookupError):
    """No fragment has this name, or the key is none that it takes."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A live region. Those of a keyed topic exist once per object: topic "alert:17" has key "17"."""

    topic: Topic
    template: str
    context: ContextFunction
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Data:
    """A topic that carries JSON for a script (a chart) instead of HTML."""

    topic: Topic
    payload: ContextFunction
    pause: float = 0.0


_registry: dict[str, Fragment | Data] = {}


def fragment(topic: Topic, template: str, *, pause: float = 0.0) -> Callable[[ContextFunction], ContextFunction]:
    """Register the decorated context function as the live region of `topic`.

    `pause` is for what every event changes a little: it is rendered at most once in so many seconds.
    """

    def register(context: ContextFunction) -> ContextFunction:
        _registry[topic] = Fragment(topic, template, context, pause)
        return context

    return register


def data(topic: Topic) -> Callable[[ContextFunction], ContextFunction]:
    """Register the decorated function as a source of JSON for `topic`."""

    def register(payload: ContextFunction) -> ContextFunction:
        _registry[topic] = Data(topic, payload)
        return payload

    return register


def registered() -> frozenset[Topic]:
    """Return the topics that can be rendered."""
    return frozenset(producer.topic for producer in _registry.values())


def find(topic: str) -> tuple[Fragment | Data, str]:
    """Return what is registered for `topic` and its key. Raises UnknownTopic."""
    name, key = parse_topic(topic)
    producer = _registry.get(name)
    if producer is None or not producer.topic.takes(key):
        raise UnknownTopic(topic)
    return producer, key


def render(topic: str) -> SafeString:
    """Return the HTML of a live region as it is now. Raises UnknownTopic."""
    region, key = find(topic)
    if isinstance(region, Data):
        raise UnknownTopic(topic)
    context = region.context(key)
    if context is None:
        return SafeString("")
    return render_to_string(region.template, context)


def pause_of(topic: str) -> float:
    """Return the least time between two renderings of a topic, in seconds."""
    producer = _registry.get(parse_topic(topic)[0])
    return producer.pause if producer else 0.0


def element_id(topic: str) -> str:
    """Return the id of the element that holds a live region."""
    return "live-" + topic.replace(SEPARATOR, "-")
