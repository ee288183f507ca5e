"""`./mem sources`: list sources, give one a new address, or revoke it."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, TypedDict

from django.core.management.base import BaseCommand, CommandError

from webhooks import addresses, services
from webhooks.models import Alert, Source


class Command(BaseCommand):
    """List, rotate and revoke."""

    help = "List the sources of alerts; --rotate NAME gives one a new address, --revoke NAME ends it for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--rotate", metavar="NAME", help="name or slug; the old address goes on for --grace")
        what.add_argument("--revoke", metavar="NAME", help="name or slug; its address answers 404 from then on")
        parser.add_argument("--grace", type=float, default=24.0, metavar="HOURS", help="of the old address (24)")
        parser.add_argument("--json", action="store_true", help="print JSON, one object a line")

    def handle(self, *args: object, **options: Any) -> None:
        """Do it and print what there is now."""
        if options["rotate"]:
            self._rotate(_find(options["rotate"]), timedelta(hours=options["grace"]), options["json"])
        elif options["revoke"]:
            source = _find(options["revoke"])
            services.revoke(source=source)
            self.stdout.write(json.dumps({"revoked": source.slug}) if options["json"] else f"{source} is revoked.")
        else:
            for source in Source.objects.select_related("connection").order_by("pk"):
                self.stdout.write(json.dumps(_summary(source)) if options["json"] else _line(source))

    def _rotate(self, source: Source, grace: timedelta, as_json: bool) -> None:
        try:
            url = addresses.webhook_url(services.rotate_token(source=source, grace=grace))
        except services.NotForDemo as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps({"url": url, "slug": source.slug, "id": source.pk}) if as_json else url)


def _find(name: str) -> Source:
    known = Source.objects.filter(revoked_at=None)
    source = known.filter(slug=name).first() or known.filter(name=name).first()
    if source is None:
        raise CommandError(f"no source {name!r}; there are: {', '.join(each.slug for each in known) or 'none'}")
    return source


class Summary(TypedDict):
    """A source as `--json` prints it."""

    id: int
    slug: str
    name: str
    policy: str
    connection: str
    token: str
    last_alert: str | None
    revoked: bool


def _summary(source: Source) -> Summary:
    last = Alert.objects.filter(source=source).order_by("-id").values_list("received_at", flat=True).first()
    return {
        "id": source.pk,
        "slug": source.slug,
        "name": source.name,
        "policy": source.policy,
        "connection": source.connection.name,
        "token": f"…{source.token_hint}",
        "last_alert": last.isoformat() if last else None,
        "revoked": source.revoked_at is not None,
    }


def _line(source: Source) -> str:
    summary = _summary(source)
    state = "revoked" if summary["revoked"] else f"last alert {summary['last_alert'] or 'never'}"
    return f"{source.slug:24} {source.policy:7} on {summary['connection']:12} token {summary['token']}  {state}"
