"""`./mem feeds`: what gives the desk its prices, and switching it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from market.bars import parse_timeframe, timeframe_text
from market.feed_control import go_live
from market.freshness import freshness
from market.models import Feed
from market.services import FeedBusy, set_feed_enabled


class Command(BaseCommand):
    help = "List feeds; `enable NAME`, `disable NAME`; `live SYMBOL…` moves instruments to an exchange's market."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the sub-commands."""
        actions = parser.add_subparsers(dest="action")
        for action in ("enable", "disable"):
            actions.add_parser(action).add_argument("name")
        live = actions.add_parser("live")
        live.add_argument("symbols", nargs="+", metavar="SYMBOL")
        live.add_argument("--exchange", default="binance", help="ccxt's name of it")
        live.add_argument("--timeframe", default="5m")

    def handle(self, *args: Any, **options: Any) -> None:
        """List the feeds after doing what was asked."""
        if options["action"] == "live":
            self._go_live(options)
        elif options["action"]:
            feed = Feed.objects.filter(name=options["name"]).first()
            if feed is None:
                raise CommandError(f"There is no feed {options['name']!r}.")
            set_feed_enabled(feed=feed, enabled=options["action"] == "enable")
        self._list()

    def _go_live(self, options: dict[str, Any]) -> None:
        try:
            timeframe = parse_timeframe(options["timeframe"])
            _, moved = go_live(symbols=options["symbols"], exchange=options["exchange"], timeframe=timeframe)
        except (FeedBusy, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Moved to the live market: {', '.join(one.symbol for one in moved) or 'nothing new'}")

    def _list(self) -> None:
        feeds = list(Feed.objects.order_by("name").prefetch_related("instruments"))
        if not feeds:
            self.stdout.write("No feeds yet. ./mem up makes a simulated market on an empty desk.")
        for feed in feeds:
            current = freshness(feed, timezone.now())
            symbols = " ".join(instrument.symbol for instrument in feed.instruments.all())
            facts = (feed.name, current.kind.label, timeframe_text(feed.timeframe), feed.state)
            self.stdout.write("  ".join([*facts, symbols or "no instruments"]))
            self.stdout.write(f"    {'STALE: ' if symbols and current.stale else ''}{current.text}")
