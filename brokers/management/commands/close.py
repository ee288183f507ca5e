"""`./mem close SYMBOL`: close a position, or all of them, through the running desk."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers import services
from brokers.models import Order, Position
from brokers.selectors import open_orders, open_positions
from market.models import Instrument
from market.selectors import resolve_symbol

WAIT_SECONDS = 10.0


class Command(BaseCommand):
    help = "Close positions: withdraws waiting entries, sends the exit, and waits up to 10 s for it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to close."""
        parser.add_argument("symbols", nargs="*", metavar="SYMBOL")
        parser.add_argument("--all", action="store_true", help="Close every open position.")

    def handle(self, *args: object, **options: Any) -> None:
        """Close, wait, report. Exits with 1 if anything is still open."""
        if bool(options["symbols"]) == options["all"]:
            raise CommandError("Name the symbols to close, or say --all.")
        instruments = None if options["all"] else [_instrument(symbol) for symbol in options["symbols"]]
        exits = self._close(instruments)
        if not exits:
            self.stdout.write("Nothing is open.")
            return
        _wait(exits)
        closed = [self._report(order) for order in exits]
        if not all(closed):
            raise SystemExit(1)

    def _close(self, instruments: list[Instrument] | None) -> list[Order]:
        if instruments is None:
            return services.close_all(by=None)
        exits = []
        for instrument in instruments:
            rows = Position.objects.filter(instrument=instrument).select_related("connection")
            for held in rows:
                order = services.close_position(connection=held.connection, instrument=instrument, by=None)
                exits += [order] if order else []
        return exits

    def _report(self, order: Order) -> bool:
        order.refresh_from_db()
        symbol = order.instrument.symbol
        # Orders first: one that fills after this look is then seen as a position.
        waiting = open_orders(order.connection_id, order.instrument_id).exists()
        left = open_positions(order.connection_id).filter(instrument=order.instrument).first()
        if left is None and not waiting:
            price = f" at {order.average_price.normalize():f}" if order.average_price else ""
            self.stdout.write(f"{symbol}: closed{price}")
            return True
        held = f"{left.quantity.normalize():f} is still held" if left else "orders are still open"
        why = order.reason or "is the desk running? (./mem up)"
        self.stdout.write(f"{symbol}: {held}; the exit is {order.get_state_display().lower()}: {why}")
        return False


def _instrument(symbol: str) -> Instrument:
    instrument = resolve_symbol(symbol)
    if instrument is None:
        raise CommandError(f"There is no instrument {symbol!r}.")
    return instrument


def _wait(exits: list[Order]) -> None:
    """Wait until the exits are over and the venue has ended stops and targets."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        ids = [order.pk for order in exits]
        busy = Order.objects.filter(pk__in=ids).exclude(state__in=Order.FINAL).exists()
        if not busy and not any(open_orders(order.connection_id, order.instrument_id) for order in exits):
            return
        time.sleep(0.1)
