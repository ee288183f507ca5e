"""The door: a small ASGI app in front of Django that authenticates alerts, writes them down and answers.

Alerts are not parsed here. One is stored whole (less its secret) and answered after the commit; the agent
reads it later. Every other path goes to the application behind.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    HTTPScope,
    LifespanScope,
    Scope,
)
from django.conf import settings

from webhooks import addresses, keys
from webhooks.door.accept_metrics import ACCEPT_SECONDS, count_answer
from webhooks.door.committer import Committer, Incoming
from webhooks.door.database import Database, Unavailable
from webhooks.door.idempotency import identify
from webhooks.door.notifier import Notifier
from webhooks.door.redaction import redact
from webhooks.door.source_cache import Sender, SourceCache, load_senders

Headers = tuple[tuple[bytes, bytes], ...]
Answer = Mapping[str, int | str]

PATH = "/webhooks/tradingview"
MAX_BODY = 64 * 1024  # bytes
BODY_SECONDS = 10.0
CONTENT_TYPE_LENGTH = 100  # as the column
MOST_SECRETS = 64  # compared of one message
NO_STORE = (b"cache-control", b"no-store")


class Refusal(Exception):
    """An answer that is no acceptance: HTTP status and a sentence for the person at the other end."""

    def __init__(self, status: int, text: str, headers: Headers = ()) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class Disconnected(Exception):
    """The sender closed the connection before its body was complete: there is nobody to answer."""


class Door:
    """ASGI application. Opens its connection with the first alert and closes it at shutdown.

    `nudge` is called after each batch with the id of its newest alert and must return at once.
    """

    def __init__(self, inner: ASGI3Application, nudge: Callable[[int], None] | None = None) -> None:
        self._inner = inner
        self._database = Database()
        self._sources = SourceCache(partial(load_senders, self._database))
        self._notifier = Notifier()
        self._committer = Committer(self._database, self._notifier if nudge is None else nudge)
        self._proxies = addresses.networks(tuple(settings.TRUSTED_PROXIES))

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer posts of alerts; hand everything else on."""
        if scope["type"] == "http" and (scope["path"] == PATH or scope["path"].startswith(PATH + "/")):
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def close(self) -> None:
        """Finish what waits, then let go of PostgreSQL and the broker."""
        await self._committer.close()
        await self._database.close()
        await asyncio.to_thread(self._notifier.stop)

    async def _answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        started = time.perf_counter()
        answer: Answer
        headers: Headers = ()
        try:
            status, answer = await self._accept(scope, receive)
            ACCEPT_SECONDS.observe(time.perf_counter() - started)
        except Refusal as refusal:
            status, answer, headers = refusal.status, {"error": str(refusal)}, refusal.headers
        except Unavailable:
            status = 503
            answer = {"error": "The alert was not stored: the desk's database is not available. Send it again."}
            headers = ((b"retry-after", b"5"),)
        except Disconnected:
            return
        count_answer(status)
        await _send_json(send, status, answer, headers)

    async def _accept(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> tuple[int, Answer]:
        if scope["method"] != "POST":
            raise Refusal(405, "Alerts are sent to this address by POST.", ((b"allow", b"POST"),))
        sender = await self._authenticate(scope["path"])
        remote_address = _remote_address(scope, self._proxies)
        if sender.networks is not None and not addresses.is_within(remote_address, sender.networks):
            raise Refusal(403, "Alerts of this source are not accepted from this address.")
        body = await _read(scope, receive)
        received_at = datetime.now(UTC)
        redacted, secrets = redact(body)
        _check_secret(sender, secrets)
        key, earlier_key = identify(redacted, received_at)
        alert = Incoming(
            source_id=sender.source_id,
            key=key,
            earlier_key=earlier_key,
            body=redacted,
            content_type=_media_type(_text_header(scope, b"content-type")),
            remote_address=str(remote_address) if remote_address else None,
            received_at=received_at,
        )
        accepted = await self._committer.accept(alert)
        if accepted.alert_id is None:
            raise Refusal(404, _NO_SUCH_TOKEN)
        if accepted.duplicate:
            return 200, {"alert": accepted.alert_id, "duplicate": True}
        return 202, {"alert": accepted.alert_id}

    async def _authenticate(self, path: str) -> Sender:
        """Return the sender whose token is in the path.

        Tokens are compared as keyed hashes, so the time taken does not depend on how much of one was right.
        """
        token = path[len(PATH) :].strip("/")
        sender = await self._sources.find(keys.digest(token))
        if sender is None or not token:
            raise Refusal(404, _NO_SUCH_TOKEN)
        return sender

    async def _lifespan(self, scope: LifespanScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Share the server's lifespan with the application behind, which may not support it."""
        is_supported = False

        async def receive_and_close() -> ASGIReceiveEvent:
            nonlocal is_supported
            event = await receive()
            is_supported = True
            if event["type"] == "lifespan.shutdown":
                await self.close()
            return event

        try:
            await self._inner(scope, receive_and_close, send)
        except Exception:
            if is_supported:
                raise
        if not is_supported:
            await _complete_lifespan(receive_and_close, send)


_NO_SUCH_TOKEN = "No source has this token: copy the webhook address from the source's set-up page."  # noqa: S105


async def _complete_lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer the two events of a lifespan for an application that does not."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _remote_address(scope: HTTPScope, proxies: tuple[addresses.Network, ...]) -> addresses.Address | None:
    client = scope.get("client")
    peer = client[0] if client else None
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return addresses.sender(peer, forwarded, proxies)


def _text_header(scope: HTTPScope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            text = value.decode("latin-1")
            return text if text.isprintable() else "".join(filter(str.isprintable, text))
    return ""


def _media_type(header: str) -> str:
    """Return a Content-Type with its charset only: whatever else stands there may be a secret."""
    kind, *parameters = (part.strip() for part in header.split(";"))
    charset = [part for part in parameters if part.lower().startswith("charset=")]
    return "; ".join([kind, *charset[:1]])[:CONTENT_TYPE_LENGTH]


async def _read(scope: HTTPScope, receive: ASGIReceiveCallable) -> bytes:
    """Return the body. A small Content-Length is not relied on: the bytes are counted as they come."""
    content_length = _text_header(scope, b"content-length")
    if content_length.isdecimal() and len(content_length) < 20 and int(content_length) > MAX_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read_parts(receive)
    except TimeoutError:
        raise Refusal(408, f"The message was not complete after {BODY_SECONDS:g} s.") from None
    if not body.strip():
        raise Refusal(
            400, 'The message is empty. Put something like {"symbol": "{{ticker}}", "action": "buy"} into it.'
        )
    return body


async def _read_parts(receive: ASGIReceiveCallable) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise Disconnected
        part = event.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _too_large()
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


def _too_large() -> Refusal:
    return Refusal(413, f"The message is larger than {MAX_BODY // 1024} KB.")


def _check_secret(sender: Sender, secrets: frozenset[str]) -> None:
    """Raise Refusal unless the source asks for no secret or the right one is among `secrets`."""
    if not sender.body_secret_hash:
        return
    if not any(keys.matches(secret, sender.body_secret_hash) for secret in sorted(secrets)[:MOST_SECRETS]):
        raise Refusal(403, "This source asks for a secret in the message, and it is missing or wrong.")


async def _send_json(send: ASGISendCallable, status: int, answer: Answer, more_headers: Headers) -> None:
    body = json.dumps(answer).encode()
    content = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    headers = [*content, NO_STORE, *more_headers]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})
