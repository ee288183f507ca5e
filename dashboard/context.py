"""What every page shows around its content. Asks the database for nothing but the user's role."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from algotrendy.permissions import role_of
from algotrendy.serving.theme import chosen_theme


@dataclass(frozen=True, slots=True)
class NavItem:
    """A link of the rail. `second` ones go behind "More" in the bottom bar of a phone."""

    label: str
    url: str
    icon: str
    current: bool
    second: bool


# url name, label, whether it goes behind "More" on a phone. The icon has the name of the page.
PAGES = (
    ("desk", "Desk", False),
    ("alerts", "Alerts", False),
    ("decisions", "Decisions", False),
    ("trades", "Trades", True),
    ("orders", "Orders", False),
    ("models", "Models", True),
    ("sources", "Sources", True),
    ("brokers", "Brokers", True),
    ("health", "Health", True),
    ("settings", "Settings", True),
)


def navigation(path: str) -> list[NavItem]:
    """Return the links of the rail, the one that `path` belongs to marked as current."""
    items = []
    for name, label, second in PAGES:
        url = reverse(name)
        current = path == url if name == "desk" else path == url or path.startswith(f"{url}/")
        items.append(NavItem(label, url, name, current, second))
    return items


def frame(request: HttpRequest) -> dict[str, object]:
    """Return the context of the page frame: role, theme and the rail."""
    user = getattr(request, "user", None)
    return {
        "role": role_of(user).name.lower() if user is not None else "none",
        "theme": chosen_theme(request),
        "nav": navigation(request.path),
    }
