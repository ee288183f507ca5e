"""`./mem feeds`: what gives the desk its prices, and switching it."""

from argparse import ArgumentParser
from collections.abc import Sequence

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

    def handle(
        self, *, action: str | None, name: str = "", symbols: Sequence[str] = (), exchange: str = "",
        timeframe: str = "", **_: object,
    ) -> None:  # fmt: skip
        """List the feeds after carrying out the sub-command, if there is one: each brings its own options."""
        if action == "live":
            self._go_live(symbols, exchange, timeframe)
        elif action:
            feed = Feed.objects.filter(name=name).first()
            if feed is None:
                raise CommandError(f"There is no feed {name!r}.")
            set_feed_enabled(feed=feed, enabled=action == "enable")
        self._list()

    def _go_live(self, symbols: Sequence[str], exchange: str, timeframe: str) -> None:
        try:
            seconds = parse_timeframe(timeframe)
            _, moved = go_live(symbols=symbols, exchange=exchange, timeframe=seconds)
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
