"""The paper venue's own books. The desk never reads them: it asks through the broker contract."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from brokers.models import Connection
from market.models import Instrument


class PaperAccount(models.Model):
    """An account at the paper venue. Cash moves with executions only."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="paper_account")
    cash = models.DecimalField(max_digits=28, decimal_places=10)
    faults = models.JSONField(default=dict, blank=True, help_text="How often each fault asked for has happened.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"paper account of {self.connection}"


class PaperOrder(models.Model):
    """An order as the venue has it.

    held (a leg whose entry has not filled yet) → working → filled | canceled; rejected is written down too, so
    that its client id stays taken and its fate can be looked up.
    """

    class State(models.TextChoices):
        HELD = "held", "Waits for its entry"
        WORKING = "working", "Working"
        FILLED = "filled", "Filled"
        CANCELED = "canceled", "Canceled"
        REJECTED = "rejected", "Rejected"

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="orders")
    instrument = models.ForeignKey(Instrument, null=True, on_delete=models.PROTECT, related_name="+")
    client_order_id = models.CharField(max_length=36)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="legs")
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=8, help_text="market, limit or stop")
    quantity = models.DecimalField(max_digits=28, decimal_places=10)
    limit_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    stop_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    reduce_only = models.BooleanField(default=False)
    triggered = models.BooleanField(default=False, help_text="A stop that was touched fills like a market order.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WORKING)
    reason = models.CharField(max_length=200, blank=True)
    filled_quantity = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    matched_until = models.DateTimeField(
        null=True, blank=True, help_text="Market time: candles opening from here on have not been matched."
    )
    placed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="paper_client_id_for_ever"),
            models.CheckConstraint(
                condition=Q(filled_quantity__gte=0) & Q(filled_quantity__lte=F("quantity")),
                name="paper_order_not_overfilled",
            ),
        ]
        indexes = [
            models.Index(fields=["instrument", "account"], condition=Q(state="working"), name="paper_working"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.instrument_id} {self.state}"


class PaperExecution(models.Model):
    """An execution at the paper venue. Append-only."""

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="executions")
    order = models.ForeignKey(PaperOrder, on_delete=models.CASCADE, related_name="executions")
    trade_id = models.CharField(max_length=64)
    quantity = models.DecimalField(max_digits=28, decimal_places=10)
    price = models.DecimalField(max_digits=28, decimal_places=10)
    fee = models.DecimalField(max_digits=28, decimal_places=10)
    executed_at = models.DateTimeField(help_text="Market time.")
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "trade_id"], name="paper_trade_id_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(price__gt=0), name="paper_execution_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} @ {self.price}"


class PaperHolding(models.Model):
    """What the account holds of an instrument; negative when short."""

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="holdings")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "instrument"], name="paper_holding_once"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.quantity}"


class PaperEvent(models.Model):
    """Something happened to an order; the id is the cursor that the account's owner asks from. Append-only.

    Written under the account's lock, so that ids are committed in their order and no reader skips one.
    """

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="events")
    order = models.ForeignKey(PaperOrder, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=16, help_text="placed, executed, canceled or rejected")
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["account", "id"], name="paper_event_cursor")]

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id}"
