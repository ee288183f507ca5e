"""Orders and the states they can be in."""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from brokers.models.desk import Connection
from brokers.orders import states
from market.models import Instrument, MarketKind


class Order(models.Model):
    """What we asked, or are about to ask, of a venue.

    pending → submitting → accepted → partially_filled → filled | canceled | rejected | expired
    pending → denied (a limit or the desk's state, never sent) | canceled | expired (never sent)
    submitting → unknown → accepted | rejected | pending (venue proved it never came) | needs_review

    `brokers.orders.states` has the whole table. `filled` is never left; an order thought dead may still turn out
    filled. `submitting` is a claim: exactly one worker may call the venue. A time-out makes `unknown`, never
    `rejected`. Stop and target legs wait as pending with `parent` set and are sent along with their parent.
    """

    class Role(models.TextChoices):
        ENTRY = "entry", "Entry"
        EXIT = "exit", "Exit"
        STOP = "stop", "Stop"
        TARGET = "target", "Target"

    class Side(models.TextChoices):
        BUY = "buy", "Buy"
        SELL = "sell", "Sell"

    class Type(models.TextChoices):
        MARKET = "market", "Market"
        LIMIT = "limit", "Limit"
        STOP = "stop", "Stop"

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SUBMITTING = "submitting", "Submitting"
        UNKNOWN = "unknown", "Unknown"
        NEEDS_REVIEW = "needs_review", "Needs review"
        ACCEPTED = "accepted", "Accepted"
        PARTIALLY_FILLED = "partially_filled", "Partially filled"
        FILLED = "filled", "Filled"
        CANCELED = "canceled", "Canceled"
        REJECTED = "rejected", "Rejected"
        EXPIRED = "expired", "Expired"
        DENIED = "denied", "Denied"

    FINAL: ClassVar[frozenset[str]] = states.FINAL
    IN_DOUBT: ClassVar[frozenset[str]] = states.IN_DOUBT
    AT_VENUE: ClassVar[frozenset[str]] = states.AT_VENUE

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="orders")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="orders")
    client_order_id = models.CharField(max_length=18)
    venue_order_id = models.CharField(max_length=64, blank=True)
    role = models.CharField(max_length=8, choices=Role.choices)
    side = models.CharField(max_length=4, choices=Side.choices)
    type = models.CharField(max_length=8, choices=Type.choices, default=Type.MARKET)
    quantity = models.DecimalField(max_digits=28, decimal_places=10)
    limit_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    stop_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    reference_price = models.DecimalField(
        max_digits=28, decimal_places=10, null=True, blank=True, help_text="Price when the order was made."
    )
    reduce_only = models.BooleanField(default=False)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="legs")
    after = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="followers",
        help_text="Sent only when this one is filled (close first, then reverse).",
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=300, blank=True)
    market = models.CharField(max_length=16, choices=MarketKind.choices)
    filled_quantity = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    average_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    fees = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    lookups = models.PositiveSmallIntegerField(default=0)
    good_until = models.DateTimeField(
        null=True, blank=True, help_text="An entry that has not left by then expires instead."
    )
    cancel_requested_at = models.DateTimeField(
        null=True, blank=True, help_text="What is left shall end: the venue is asked until it has."
    )
    cancel_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "client_order_id"], name="order_once_per_client_id"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
            models.CheckConstraint(
                condition=Q(filled_quantity__gte=0) & Q(filled_quantity__lte=F("quantity")),
                name="order_not_overfilled",
            ),
            models.CheckConstraint(
                condition=~Q(state="filled") | Q(filled_quantity=F("quantity")),
                name="order_filled_means_filled",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["rejected", "denied", "unknown", "needs_review"]) | ~Q(reason=""),
                name="order_trouble_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(cancel_requested_at=None) | ~Q(cancel_reason=""), name="order_cancel_has_a_reason"
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "updated_at"],
                condition=Q(
                    state__in=[
                        "pending",
                        "submitting",
                        "unknown",
                        "needs_review",
                        "accepted",
                        "partially_filled",
                    ]
                ),
                name="order_open",
            ),
            models.Index(fields=["instrument", "-id"], name="order_of_instrument"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity.normalize():f} {self.instrument_id} {self.state}"

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to this order."""
        return self.state in self.FINAL

    @property
    def cancel_waits(self) -> bool:
        """Whether its cancel is wanted and the venue has not ended it yet."""
        return self.cancel_requested_at is not None and not self.is_final
