"""Which theme a browser asked for: a cookie, so that pages without a session or a database know it too."""

from django.http import HttpRequest

THEMES = ("light", "dark")
COOKIE = "theme"


def chosen_theme(request: HttpRequest) -> str:
    """Return the theme that was chosen, or nothing: then the system's own is shown."""
    theme = request.COOKIES.get(COOKIE, "")
    return theme if theme in THEMES else ""
