"""How far our books have been compared with a venue's, so that the next comparison begins there."""

from django.db import models

from brokers.models.desk import Connection
from market.models import Instrument


class Comparison(models.Model):
    """A comparison of one account's books: where it is, or where the last one ended.

    `current` goes on from a checkpoint every few minutes; `full` begins at the first order once a day and, when it
    ends, becomes the checkpoint. Everything up to `cursor` (of the venue) and `order_id` (of ours) agreed when it
    was compared, but for the orders named in `differing`: those are looked up each time until they agree.
    """

    class Scope(models.TextChoices):
        CURRENT = "current", "What changed since the checkpoint"
        FULL = "full", "All history"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="comparisons")
    scope = models.CharField(max_length=8, choices=Scope.choices)
    cursor = models.BigIntegerField(default=0, help_text="The venue's events up to here were compared.")
    order_id = models.BigIntegerField(default=0, help_text="Our orders up to here were compared.")
    reported = models.BinaryField(
        default=bytes, help_text="A bit for each order from `order_id` on: the venue has reported it."
    )
    open_orders = models.JSONField(default=list, help_text="Client ids of orders that were open here.")
    differing = models.JSONField(default=list, help_text="Client ids of orders that differed.")
    external = models.JSONField(default=list, help_text="The newest client ids that this desk never gave.")
    external_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True, help_text="Wall time.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Wall time at which it last came to its end.")
    verified_at = models.DateTimeField(
        null=True, blank=True, help_text="Wall time at which all history had been compared."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "scope"], name="comparison_once_per_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.scope} up to {self.cursor}"


class FillSum(models.Model):
    """What the fills of a position up to `fill_id` add up to. They are booked under its lock, in order of ids."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    fill_id = models.BigIntegerField()
    quantity = models.DecimalField(max_digits=38, decimal_places=10)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "instrument"], name="fill_sum_once_per_position"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.quantity} up to {self.fill_id}"
