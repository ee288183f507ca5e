"""`./mem replay`: show imported candles again, faster."""

from argparse import ArgumentParser
from datetime import UTC, datetime

from django.core.management.base import BaseCommand, CommandError

from market.bars import parse_timeframe
from market.feed_control import NothingToReplay, ReplayRuns, Started, start_replay, stop_replay
from market.freshness import DEFAULT_REPLAY_SPEED, duration, replay_speed
from market.services import FeedBusy


class Command(BaseCommand):
    help = (
        "Replay imported candles through the desk. Without --from it begins 30 days before their end. "
        "Speeds above 50 candles a second are not kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options."""
        parser.add_argument(
            "symbols", nargs="*", metavar="SYMBOL", help="all with imported candles if none is given"
        )
        parser.add_argument("--speed", type=float, help=f"times as fast as real ({DEFAULT_REPLAY_SPEED:g})")
        parser.add_argument(
            "--from", dest="start", metavar="ISO", help="market time to begin at, 2025-10-01T00:00"
        )
        parser.add_argument("--timeframe", default="5m", help="which candles (5m)")
        parser.add_argument("--loop", action="store_true", help="begin again at the end")
        parser.add_argument("--replace", action="store_true", help="end a replay that is under way")
        parser.add_argument("--stop", action="store_true", help="stop, and go back to the market before")

    def handle(
        self, *, symbols: list[str], speed: float | None, start: str | None, timeframe: str, loop: bool,
        replace: bool, stop: bool, **_: object,
    ) -> None:  # fmt: skip
        """Start or stop; the feed process follows within a second."""
        try:
            if stop:
                self._report_stopped(" ".join(instrument.symbol for instrument in stop_replay()))
            else:
                self._report_started(_start(symbols, speed, start, timeframe, loop, replace))
        except (FeedBusy, NothingToReplay, ReplayRuns, ValueError) as error:
            raise CommandError(str(error)) from error

    def _report_started(self, started: Started) -> None:
        speed = replay_speed(started.feed.settings)
        symbols = ", ".join(instrument.symbol for instrument in started.instruments)
        takes = duration((started.end - started.start).total_seconds() / speed)
        self.stdout.write(
            f"Replaying {symbols} from {started.start:%Y-%m-%d %H:%M} to {started.end:%Y-%m-%d %H:%M} UTC "
            f"at {speed:g}×: that takes {takes}."
        )

    def _report_stopped(self, symbols: str) -> None:
        moved = f" {symbols} went back to the market before." if symbols else ""
        self.stdout.write(f"The replay is stopped.{moved}")


def _start(
    symbols: list[str], speed: float | None, start: str | None, timeframe: str, loop: bool, replace: bool
) -> Started:
    if speed is not None and not 0 < speed < float("inf"):
        raise CommandError("--speed must be above zero")
    begin, seconds = _time(start), parse_timeframe(timeframe)
    return start_replay(symbols=symbols, speed=speed, start=begin, loop=loop, timeframe=seconds, replace=replace)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a time: write 2025-10-01 or 2025-10-01T12:00") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
