"""Live regions: one template and one context function, used by the page and by every live update.

To add one, write a context function and decorate it. Its module must be one that `dashboard.urls` imports: whoever
starts the hub (`algotrendy.asgi`) imports that first, and so all regions are registered::

    from dashboard.live.fragments import Context, fragment

    @fragment("alerts", "fragments/alerts.html")
    def alerts(key: str) -> Context:          # key is "" here
        return {"alerts": selectors.newest_alerts(50)}

    @fragment("alert", "fragments/alert.html", keyed=True)
    def alert(key: str) -> Context | None:    # key is "17" in topic "alert:17"; None: there is no such thing
        ...

On the page: ``{% load desk %}{% live "alerts" %}`` or ``{% live "alert" alert.pk %}``. That renders the region,
and the page subscribes to its topic by itself. Senders of hints name the same topic (`dashboard.live.publisher`).

A fragment is rendered once for everybody, without a request: no CSRF token, no user, no role in it. Actions are
links to a page that asks (`<a class="button needs-trader" data-dialog href=…>`); CSS hides `needs-trader` and
`needs-admin` from those who may not, and the view refuses them. Give rows an `id` so that a morph finds them, and
cells that should flash when they change a `data-flash`. Context functions must ask a constant number of queries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

Context = dict[str, Any]
ContextFunction = Callable[[str], Context | None]


class UnknownTopic(LookupError):
    """No fragment has this name, or it needs a key and got none."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A live region. `keyed` ones exist once per object: topic "alert:17" has key "17"."""

    name: str
    template: str
    context: ContextFunction
    keyed: bool
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Data:
    """A topic that carries JSON for a script (a chart) instead of HTML."""

    name: str
    payload: ContextFunction
    keyed: bool
    pause: float = 0.0


_registry: dict[str, Fragment | Data] = {}


def fragment(
    name: str, template: str, *, keyed: bool = False, pause: float = 0.0
) -> Callable[[ContextFunction], ContextFunction]:
    """Register the decorated context function as live region `name`.

    `pause` is for what every event changes a little: it is rendered at most once in so many seconds.
    """

    def register(context: ContextFunction) -> ContextFunction:
        _registry[name] = Fragment(name, template, context, keyed, pause)
        return context

    return register


def data(name: str, *, keyed: bool = False) -> Callable[[ContextFunction], ContextFunction]:
    """Register the decorated function as a source of JSON for topic `name`."""

    def register(payload: ContextFunction) -> ContextFunction:
        _registry[name] = Data(name, payload, keyed)
        return payload

    return register


def find(topic: str) -> tuple[Fragment | Data, str]:
    """Return what is registered for `topic` and its key. Raises UnknownTopic."""
    name, _, key = topic.partition(":")
    found = _registry.get(name)
    if found is None or found.keyed != bool(key):
        raise UnknownTopic(topic)
    return found, key


def render(topic: str) -> SafeString:
    """Return the HTML of a live region as it is now. Raises UnknownTopic."""
    found, key = find(topic)
    if isinstance(found, Data):
        raise UnknownTopic(topic)
    context = found.context(key)
    if context is None:
        return SafeString("")
    return render_to_string(found.template, context)


def pause_of(topic: str) -> float:
    """Return the least time between two renderings of a topic, in seconds."""
    found = _registry.get(topic.partition(":")[0])
    return found.pause if found else 0.0


def element_id(topic: str) -> str:
    """Return the id of the element that holds a live region."""
    return "live-" + topic.replace(":", "-")
