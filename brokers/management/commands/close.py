"""`./mem close SYMBOL`: close a position, or all of them, through the running desk."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from brokers import services
from brokers.models import Connection, Order
from brokers.orders.states import OPEN
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
        parser.add_argument("--allow-exits", action="store_true", help="Set a halted desk to exits only first.")

    def handle(self, *args: object, **options: Any) -> None:
        """Close, wait, report. Exits with 1 if anything is still open."""
        if bool(options["symbols"]) == options["all"]:
            raise CommandError("Name the symbols to close, or say --all.")
        accounts = _held() if options["all"] else _accounts([_instrument(symbol) for symbol in options["symbols"]])
        self.refused = False
        exits = [order for pair in accounts if (order := self._close(*pair, allow_exits=options["allow_exits"]))]
        if not exits and not self.refused:
            self.stdout.write("Nothing is open.")
            return
        _wait(exits)
        closed = [self._report(order) for order in exits]
        if self.refused or not all(closed):
            raise SystemExit(1)

    def _close(self, connection: Connection, instrument: Instrument, *, allow_exits: bool) -> Order | None:
        """Order the way out of one position; say why when it can't leave, and go on with the others."""
        try:
            return services.close_position(
                connection=connection, instrument=instrument, by=None, allow_exits=allow_exits
            )
        except services.CannotClose as refusal:
            hint = "" if allow_exits else " (--allow-exits sets a halted desk to exits only first)"
            self.stderr.write(f"{instrument.symbol}: not closed: {refusal}{hint}")
            self.refused = True
            return None

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


def _held() -> list[tuple[Connection, Instrument]]:
    return [(held.connection, held.instrument) for held in open_positions()]


def _accounts(instruments: list[Instrument]) -> list[tuple[Connection, Instrument]]:
    """Return where the instruments are held or ordered: waiting entries are withdrawn on a flat position too."""
    pairs = []
    for instrument in instruments:
        busy = Q(positions__instrument=instrument) | Q(orders__instrument=instrument, orders__state__in=OPEN)
        pairs += [(connection, instrument) for connection in Connection.objects.filter(busy).distinct()]
    return pairs


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
