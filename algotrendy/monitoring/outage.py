"""What a request is answered that failed because the database was away: 503 with words, and when to come back."""

import sys

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from algotrendy.serving.theme import chosen_theme
from algotrendy.supervisor import disk

RETRY_SECONDS = 5
# Classes of SQLSTATE: connection lost, out of disk, memory or connections, shut down or starting.
OUTAGES = ("08", "53", "57")
FULL = "The disk is full"
BROKEN = "The disk cannot be written to"
AWAY = "The database does not answer"


def failed(request: HttpRequest) -> HttpResponse:
    """Answer a request that raised: 503 during an outage of the database, 500 otherwise."""
    if not is_outage(sys.exc_info()[1]):
        return HttpResponse(_page("500.html", request), status=500)
    what = _what_is_wrong()
    if request.path.startswith("/api/"):
        response: HttpResponse = JsonResponse({"detail": f"{what}. Try again in {RETRY_SECONDS} s."})
    else:
        response = HttpResponse(_page("503.html", request, what=what, full=what == FULL, broken=what == BROKEN))
    response.status_code = 503
    response["Retry-After"] = str(RETRY_SECONDS)
    response["Cache-Control"] = "no-store"
    return response


def _page(template: str, request: HttpRequest, **context: object) -> str:
    """Render a page without giving it the request: what the frame of a page shows is asked of the database."""
    return render_to_string(template, {"theme": chosen_theme(request), **context})


def _what_is_wrong() -> str:
    room = disk.space(settings.DATA_DIR)
    if room.broken:
        return BROKEN
    return FULL if room.full else AWAY


def is_outage(error: BaseException | None) -> bool:
    """Tell whether `error` says that the database is away or out of room, not that a statement was at fault."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(OUTAGES)
