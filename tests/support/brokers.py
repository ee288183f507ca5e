"""A small desk for the broker tests: one instrument with a price, one paper connection, and shortcuts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from django.db import transaction
from django.utils import timezone

from brokers import selectors, services, sync
from brokers.models import Connection, Order
from brokers.orders import execution
from brokers.venues.paper import matching
from market.models import Candle, Instrument, MarketKind, Quote

START = datetime(2025, 3, 3, 12, 0, tzinfo=UTC)
TIMEFRAME = 60
FREE = {"spread_bps": 0, "slippage_bps": 0, "fee_bps": 0}
_numbers = count(1)


def make_instrument(symbol: str = "BTCUSDT", price: str = "100") -> Instrument:
    """An instrument with a price at START, ticks of 0.01 and steps of 0.001."""
    instrument, _ = Instrument.objects.get_or_create(
        symbol=symbol,
        defaults={"tick_size": Decimal("0.01"), "step_size": Decimal("0.001"), "min_notional": Decimal(5)},
    )
    set_price(instrument, price, START)
    return instrument


def set_price(instrument: Instrument, price: str | Decimal, at: datetime) -> Quote:
    return Quote.objects.update_or_create(
        instrument=instrument,
        defaults={
            "price": Decimal(price),
            "timeframe": TIMEFRAME,
            "kind": MarketKind.SIMULATED,
            "market_time": at,
            "received_at": timezone.now(),
        },
    )[0]


def add_candle(
    instrument: Instrument, number: int, open_: str, high: str, low: str, close: str, volume: str = "1000000"
) -> Candle:
    """The candle that opens `number` minutes after START; the market's clock moves to its close."""
    open_time = START + timedelta(seconds=TIMEFRAME * number)
    candle = Candle.objects.create(
        instrument=instrument,
        timeframe=TIMEFRAME,
        open_time=open_time,
        open=Decimal(open_),
        high=Decimal(high),
        low=Decimal(low),
        close=Decimal(close),
        volume=Decimal(volume),
        kind=MarketKind.SIMULATED,
    )
    set_price(instrument, close, open_time + timedelta(seconds=TIMEFRAME))
    return candle


def make_connection(name: str = "paper", equity: str = "100000", **settings: object) -> Connection:
    """A paper connection that trades without costs unless told otherwise."""
    return Connection.objects.create(name=name, starting_equity=Decimal(equity), settings=FREE | settings)


def plan(
    connection: Connection,
    instrument: Instrument,
    *,
    side: str = "buy",
    quantity: str = "10",
    stop: str | None = None,
    target: str | None = None,
    price: str = "100",
    after: Order | None = None,
    good_until: datetime | None = None,
) -> list[Order]:
    with transaction.atomic():
        return services.plan_entry(
            desk=selectors.desk(),
            connection=connection,
            instrument=instrument,
            reference=f"t{next(_numbers)}",
            side=side,
            quantity=Decimal(quantity),
            stop=Decimal(stop) if stop else None,
            target=Decimal(target) if target else None,
            price=Decimal(price),
            market="simulated",
            good_until=good_until,
            after=after,
        )


def plan_exit(
    connection: Connection, instrument: Instrument, *, side: str = "sell", quantity: str = "10"
) -> Order:
    with transaction.atomic():
        return services.plan_exit(
            desk=selectors.desk(),
            connection=connection,
            instrument=instrument,
            reference=f"t{next(_numbers)}",
            quantity=Decimal(quantity),
            side=side,
            price=Decimal(100),
            market="simulated",
        )


def enter(connection: Connection, instrument: Instrument, **options: object) -> list[Order]:
    """Plan an entry and submit it; return it and its legs as they are then."""
    orders = plan(connection, instrument, **options)
    execution.submit(orders[0].pk)
    return reload(*orders)


def let_match(connection: Connection, instrument: Instrument) -> None:
    """Let the venue match new candles and the desk take in what happened."""
    matching.match_instrument(instrument.pk)
    sync.sync_connection(connection.pk)


def reload(*orders: Order) -> list[Order]:
    for order in orders:
        order.refresh_from_db()
    return list(orders)
