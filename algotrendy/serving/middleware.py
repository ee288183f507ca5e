"""What every request and answer of the pages, the data of charts and the API has in common."""

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from django.db import DataError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    JsonResponse,
    QueryDict,
)
from django.middleware.common import CommonMiddleware
from django.shortcuts import render
from django.urls import is_valid_path
from django.utils.http import escape_leading_slashes
from django.views.defaults import page_not_found

from algotrendy.text import is_storable

logger = logging.getLogger(__name__)
SAFE = ("GET", "HEAD")
UNREADABLE = "The request holds a character or a number that can't be stored or looked up."


class Slashes(CommonMiddleware):
    """Leads from an address with a slash too many or too few to the one that is meant."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        """Return whether a slash is missing."""
        return request.method in SAFE and super().should_redirect_with_slash(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Redirect where an address is unknown only because of its end."""
        response = super().process_response(request, response)
        path = request.path_info.rstrip("/")
        if response.status_code != 404 or request.method not in SAFE or not path or path == request.path_info:
            return response
        if is_valid_path(request.path_info) or not is_valid_path(path):
            return response
        query = request.META.get("QUERY_STRING", "")
        return self.response_redirect_class(escape_leading_slashes(path + (f"?{query}" if query else "")))


class WrongMethod:
    """Answers in words where an address only takes forms: Django's own answer is a page with nothing on it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Give a browser something to read; programs get the status and what is allowed."""
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or not request.accepts("text/html"):
            return response
        if response.content or "Accept" not in request.headers:
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response["Allow"]
        return page


class BadInput:
    """Answers 400 in words where a request holds what no table takes, instead of failing on it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Look at the address before anybody uses a part of it."""
        if not is_text_encoding(request.encoding or "utf-8"):
            request.encoding = "utf-8"
            return refused(request)
        texts = (request.path_info, *request.GET, *(text for _, values in request.GET.lists() for text in values))
        if not all(map(is_storable, texts)) or not _leads_somewhere(request.GET):
            return refused(request)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Look at what a form of accounts says where to go next: allauth reads it as an address."""
        is_form = request.method == "POST" and request.path_info.startswith(("/accounts/", "/admin/"))
        return refused(request) if is_form and not _leads_somewhere(request.POST) else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer for a value that reached the database all the same: the request's fault, and said in the log."""
        if not isinstance(error, DataError):
            return None
        logger.warning("a value was refused by the database: %s", error)
        return refused(request)


def _leads_somewhere(fields: QueryDict) -> bool:
    """Return whether `next` can be read as an address wherever it is given: "http://[" can't."""
    try:
        for text in fields.getlist("next"):
            urlsplit(text)
    except ValueError:
        return False
    return True


def is_text_encoding(name: str) -> bool:
    """Return whether text can be read in the encoding that a request says it is in: "hex" is a codec, too."""
    try:
        b"a".decode(name, "replace")
    except (LookupError, UnicodeError):
        return False
    return True


def refused(request: HttpRequest) -> HttpResponse:
    """Return the answer in the form of what was asked."""
    if request.path_info.startswith("/api/"):
        return JsonResponse({"detail": UNREADABLE}, status=400)
    if request.path_info.startswith("/data/"):
        return JsonResponse({"error": UNREADABLE}, status=400)
    return render(request, "400.html", {"reason": UNREADABLE}, status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the answer for an address that does not exist, in the form of what was asked."""
    if request.path_info.startswith("/api/"):
        return JsonResponse({"detail": "There is no such address."}, status=404)
    return page_not_found(request, exception)


class KeptNowhere:
    """Has nobody keep an answer, unless its view says otherwise: nearly all are for one person."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Mark the answer."""
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response
