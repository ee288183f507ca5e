"""The desk itself (state and limits) and its connections to venues."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q

from brokers.venues.names import DEFAULT_VENUE, AccountMode


class Desk(models.Model):
    """The one desk: whether it may trade, and how much.

    ACTIVE → REDUCING (exits only) → ACTIVE; any → HALTED (nothing is sent) → ACTIVE or REDUCING, as a person says.
    A state with `until` ends by itself.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        REDUCING = "reducing", "Reducing"
        HALTED = "halted", "Halted"

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    uid = models.UUIDField(default=uuid.uuid4, editable=False, help_text="Part of every client order id.")
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    reason = models.CharField(max_length=200, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(auto_now_add=True)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    max_order_pct = models.DecimalField(
        max_digits=6, decimal_places=2, default=Decimal(5), help_text="One order's value, % of equity."
    )
    max_position_pct = models.DecimalField(
        max_digits=6, decimal_places=2, default=Decimal(25), help_text="One position's value, % of equity."
    )
    max_open_positions = models.PositiveSmallIntegerField(default=8)
    max_daily_loss_pct = models.DecimalField(
        max_digits=6,
        decimal_places=2,
        default=Decimal(5),
        help_text="Loss since 00:00 UTC, % of equity then.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="desk_is_one"),
            models.CheckConstraint(
                condition=Q(max_order_pct__gt=0) & Q(max_position_pct__gt=0) & Q(max_daily_loss_pct__gt=0),
                name="desk_limits_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"Desk {self.state}"


class Connection(models.Model):
    """An account at a venue. `cursor` is the last event of the venue that our ledger has taken in."""

    Mode = AccountMode

    class Health(models.TextChoices):
        NEW = "new", "Not yet used"
        OK = "ok", "Healthy"
        ERROR = "error", "Error"

    name = models.SlugField(unique=True)
    venue = models.CharField(max_length=32, default=DEFAULT_VENUE, help_text="Name of the adapter.")
    mode = models.CharField(max_length=8, choices=AccountMode.choices, default=AccountMode.PAPER)
    enabled = models.BooleanField(default=True)
    settings = models.JSONField(default=dict, blank=True)
    cursor = models.BigIntegerField(default=0, editable=False)
    health = models.CharField(max_length=8, choices=Health.choices, default=Health.NEW)
    last_error = models.TextField(blank=True)
    last_synced_at = models.DateTimeField(null=True, blank=True)
    starting_equity = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(100_000))
    currency = models.CharField(max_length=8, default="USDT")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(venue=DEFAULT_VENUE) | Q(mode=AccountMode.PAPER), name="paper_venue_is_never_live"
            ),
        ]

    def __str__(self) -> str:
        return self.name
