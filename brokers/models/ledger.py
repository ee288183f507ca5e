"""The ledger: fills are appended once, and positions, trades and equity follow from them."""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from brokers.models.desk import Connection
from brokers.models.orders import Order
from market.models import Instrument, MarketKind


class Trade(models.Model):
    """A round trip: from flat to flat. open → closed. `pnl` is net of fees, in the connection's currency."""

    class Side(models.TextChoices):
        LONG = "long", "Long"
        SHORT = "short", "Short"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="trades")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="trades")
    side = models.CharField(max_length=5, choices=Side.choices)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    market = models.CharField(max_length=16, choices=MarketKind.choices)
    quantity = models.DecimalField(max_digits=28, decimal_places=10, help_text="Total that was entered.")
    entry_price = models.DecimalField(max_digits=28, decimal_places=10, help_text="Average of entries.")
    exit_quantity = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    exit_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    gross_pnl = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    fees = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    pnl = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    opened_at = models.DateTimeField(help_text="Market time of the first fill.")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="Market time of the last fill.")
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "instrument"],
                condition=Q(state="open"),
                name="one_open_trade_per_instrument",
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None) | Q(state="closed", closed_at__isnull=False),
                name="trade_closed_has_a_time",
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="trade_state")]

    def __str__(self) -> str:
        return f"{self.side} {self.instrument_id} {self.pnl}"


class Fill(models.Model):
    """An execution as the venue reported it. Append-only; unique per connection and venue trade id."""

    # The unique constraint and the index of the position's fills begin with these two and serve as theirs.
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="fills", db_index=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="fills", db_index=False)
    trade = models.ForeignKey(Trade, on_delete=models.PROTECT, related_name="fills")
    venue_trade_id = models.CharField(max_length=64)
    side = models.CharField(max_length=4, choices=Order.Side.choices)
    quantity = models.DecimalField(max_digits=28, decimal_places=10)
    price = models.DecimalField(max_digits=28, decimal_places=10)
    fee = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    executed_at = models.DateTimeField(help_text="Market time at the venue.")
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "venue_trade_id"], name="fill_once_per_venue_trade"),
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(price__gt=0), name="fill_positive"),
        ]
        indexes = [
            models.Index(fields=["instrument", "executed_at"], name="fill_of_instrument"),
            models.Index(fields=["connection", "instrument", "id"], name="fill_of_position"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price}"


class Position(models.Model):
    """The net holding of an instrument on a connection. `quantity` is negative when short."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="positions")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="positions")
    quantity = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    average_price = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    realised_pnl = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal(0), help_text="Before fees."
    )
    fees = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    trade = models.ForeignKey(Trade, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "instrument"], name="position_once_per_instrument"),
            models.CheckConstraint(condition=Q(quantity=0) | Q(average_price__gt=0), name="position_has_a_price"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.quantity}"


class EquityMark(models.Model):
    """Equity of a connection at a wall time: cash plus positions at the last price."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="equity_marks")
    at = models.DateTimeField()
    equity = models.DecimalField(max_digits=28, decimal_places=10)
    unrealised_pnl = models.DecimalField(max_digits=28, decimal_places=10)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "at"], name="equity_once_per_time")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.equity}"
