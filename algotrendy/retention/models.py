"""How far removing is, and what was removed."""

from django.db import models


class Removal(models.Model):
    """One kind of rows that are removed or thinned once they are old enough.

    A night's work is done in batches: `progress` and `removing` say how far it is, `ended_at` when it last was
    through.
    """

    name = models.CharField(max_length=60, primary_key=True, help_text="What is removed, in words.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")
    removed = models.PositiveBigIntegerField(default=0, help_text="Rows, in the last night that was through.")
    removing = models.PositiveBigIntegerField(default=0, help_text="Rows, so far in the one under way.")
    progress = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.removed}"
