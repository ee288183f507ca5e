"""A form that is sent twice acts once, and the second answer is the first one's.

Each rendered form carries a random token (`{% once %}`). The first request with a token and the same fields claims
it; whoever comes second, by a double click or a repeated request, waits for the answer and gets it too. The answer
may hold what is shown once: it is kept for minutes only, sealed with the token itself, which only the form has.
"""

import functools
import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from algotrendy.permissions import person
from dashboard.models import SentForm

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
FIELD = "once"
KEPT = timedelta(minutes=10)
PATIENCE_SECONDS = 20.0
LOOK_EVERY = 0.05
NOT_COUNTED = {FIELD, "csrfmiddlewaretoken"}


def new_token() -> str:
    """Return the token of a form that is being rendered."""
    return secrets.token_urlsafe(24)


def once(view: View[P]) -> View[P]:
    """Let a form's POST act once. Goes innermost: whoever is refused or asked for a password has not acted."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        token = request.POST.get(FIELD, "")
        if request.method != "POST" or not token:
            return view(request, *args, **kwargs)
        digest = _digest(request, token)
        if not _claim(digest):
            return _first_answer(request, digest, token)
        return _act(digest, token, lambda: view(request, *args, **kwargs))

    guarded.acts_once = True  # type: ignore[attr-defined]
    return guarded


def _digest(request: HttpRequest, token: str) -> str:
    """Return what stands for this form, this person and these fields: a corrected form is another one."""
    fields = sorted((name, request.POST.getlist(name)) for name in request.POST if name not in NOT_COUNTED)
    what = json.dumps([token, person(request).pk, request.path, fields])
    return hashlib.sha256(what.encode()).hexdigest()


def _claim(digest: str) -> bool:
    """Return whether nobody came with this form before. Committed at once: the other request must see it."""
    SentForm.objects.filter(at__lt=timezone.now() - KEPT).delete()
    _, is_first = SentForm.objects.get_or_create(digest=digest)
    return is_first


def _act(digest: str, token: str, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    row = SentForm.objects.filter(digest=digest)
    try:
        answer = act()
    except BaseException:
        # Nothing was answered: the form may be sent again.
        row.delete()
        raise
    if isinstance(answer, HttpResponse) and answer.status_code < 400:
        row.update(answer=_sealed(answer, token))
    else:
        row.delete()
    return answer


def _sealed(answer: HttpResponse, token: str) -> bytes:
    kept = {
        "status": answer.status_code,
        "headers": {name: value for name, value in answer.items() if name in ("Content-Type", "Location")},
        "body": answer.content.decode(),
    }
    return bytes(_seal(token).encrypt(json.dumps(kept).encode()))


def _seal(token: str) -> "Fernet":
    from cryptography.fernet import Fernet  # only here: most processes never see a form

    return Fernet(urlsafe_b64encode(hashlib.sha256(f"answer:{token}".encode()).digest()))


def _first_answer(request: HttpRequest, digest: str, token: str) -> HttpResponse:
    """Wait for the answer to the first request and give it once more; say so where there is none."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        row = SentForm.objects.filter(digest=digest).first()
        if row is None:
            return render(request, "dashboard/sent_twice.html", {"failed": True}, status=409)
        if row.answer is not None:
            return _opened(request, bytes(row.answer), token)
        time.sleep(LOOK_EVERY)
    return render(request, "dashboard/sent_twice.html", status=409)


def _opened(request: HttpRequest, sealed: bytes, token: str) -> HttpResponse:
    kept = json.loads(_seal(token).decrypt(sealed))
    answer = HttpResponse(kept["body"], status=kept["status"], headers=kept["headers"])
    if "Location" in kept["headers"]:
        messages.info(request, "The form was sent twice and acted once: this is what it did.")
    return answer
