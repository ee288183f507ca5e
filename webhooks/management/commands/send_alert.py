"""`./mem send_alert`: post a test alert through the real HTTP door and follow it until it is decided."""

import json
import secrets
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypedDict

import httpx
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from webhooks import addresses, keys, services
from webhooks.models import Alert, Source

TEMPORARY = timedelta(seconds=60)


class Answer(TypedDict, total=False):
    """What the door answers."""

    alert: int
    duplicate: bool
    error: str


class Report(TypedDict):
    """What became of the alert, as `--json` prints it."""

    alert: int
    state: str | None
    reason: str
    action: str | None
    why: str
    url: str


class Command(BaseCommand):
    """Send one alert as TradingView would, and print what became of it."""

    help = "Post a test alert through the webhook and follow it until it is decided."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        to = parser.add_mutually_exclusive_group()
        to.add_argument("--url", help="webhook address of a source")
        to.add_argument("--source", help="name or slug of a source of this desk (the only one)")
        parser.add_argument("--symbol", default="BTCUSDT")
        parser.add_argument("--action", default="buy", help="buy, sell, long, short, flat, close, hold")
        parser.add_argument("--price", default="")
        parser.add_argument("--secret", default="", help="body secret of the source")
        parser.add_argument("--body", help="send this instead of a message made from the options above")
        parser.add_argument("--wait", type=float, default=10.0, help="seconds to wait for the decision (10)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: Any) -> None:
        """Send, wait, print."""
        answer = self._post(options, _body(options))
        alert_id = int(answer["alert"])
        alert = _decided(alert_id, options["wait"])
        report = _report(alert_id, alert)
        self.stdout.write(json.dumps(report) if options["json"] else _text(report))

    def _post(self, options: Mapping[str, Any], body: bytes) -> Answer:
        if options["url"]:
            return _send(options["url"], body)
        source = _source(options["source"])
        if source.is_demo:
            return _send(addresses.webhook_url(services.demo_token(), addresses.local_url()), body)
        return _send_with_temporary_token(source, body)


def _body(options: Mapping[str, Any]) -> bytes:
    if options["body"] is not None:
        return str(options["body"]).encode()
    message = {
        "id": f"test-{secrets.token_hex(8)}",
        "ticker": options["symbol"],
        "action": options["action"],
        "close": options["price"],
        "timenow": timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "comment": "test alert",
        "secret": options["secret"],
    }
    return json.dumps({name: value for name, value in message.items() if value}).encode()


def _source(name: str | None) -> Source:
    known = list(Source.objects.filter(revoked_at=None).order_by("pk"))
    chosen = [each for each in known if name in (each.slug, each.name)] if name else known
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(each.slug for each in known) or "none: make one with ./mem create_source NAME"
    raise CommandError(f"which source? There are: {names}")


def _send_with_temporary_token(source: Source, body: bytes) -> Answer:
    """Post with a token made for this one alert: the source's own is stored only as a hash.

    It takes the place of a token that was rotated away, if none is in its grace.
    """
    token = keys.new_token()
    claimed = Source.objects.filter(pk=source.pk, previous_token_hash="").update(
        previous_token_hash=keys.digest(token), previous_until=timezone.now() + TEMPORARY
    )
    if not claimed:
        raise CommandError(f"{source.name} was given a new token lately: use --url with its new address")
    try:
        return _send(addresses.webhook_url(token, addresses.local_url()), body)
    finally:
        mine = Source.objects.filter(pk=source.pk, previous_token_hash=keys.digest(token))
        mine.update(previous_token_hash="", previous_until=None)


def _send(url: str, body: bytes) -> Answer:
    try:
        with httpx.Client(timeout=5, trust_env=False) as client:
            response = client.post(url, content=body, headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        where = httpx.URL(url).copy_with(path="/")
        raise CommandError(f"the desk does not answer at {where}: {type(error).__name__}. Is it up?") from error
    answer: Answer = response.json() if response.headers.get("content-type") == "application/json" else {}
    if response.status_code not in (200, 202):
        raise CommandError(f"the door answered {response.status_code}: {answer.get('error', '')}")
    return answer


def _decided(alert_id: int, seconds: float) -> Alert | None:
    """Return the alert once it is decided, or as it is after `seconds`; None if it is another desk's."""
    deadline = time.monotonic() + seconds
    while True:
        alert = Alert.objects.select_related("decision__instrument").filter(pk=alert_id).first()
        if alert is None or alert.state != Alert.State.RECEIVED or time.monotonic() > deadline:
            return alert
        time.sleep(0.05)


def _report(alert_id: int, alert: Alert | None) -> Report:
    decision = alert.decision if alert else None
    base = addresses.public_url()
    return {
        "alert": alert_id,
        "state": alert.state if alert else None,
        "reason": alert.reason if alert else "",
        "action": decision.action if decision else None,
        "why": decision.reason if decision else "",
        "url": f"{base}/decisions/{decision.pk}" if decision else f"{base}/alerts/{alert_id}",
    }


def _text(report: Report) -> str:
    outcome = f"{report['action']}: {report['why']}" if report["action"] else report["reason"] or "not decided yet"
    state = report["state"] or "unknown here"
    return f"Alert {report['alert']} was accepted and is {state}. {outcome}\n  {report['url']}"
