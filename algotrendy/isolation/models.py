"""What failed and is not well yet."""

from django.db import models


class RowFailure(models.Model):
    """A row that some work of the desk can't handle. It goes when the row succeeds, or when a person clears it.

    `work` is the sweep or task, `table` the row's model ("brokers.connection", empty for what is no row) and `key`
    its primary key as text: the failure outlives the row, so that nothing that is deleted takes it along.
    """

    work = models.CharField(max_length=64)
    table = models.CharField(max_length=64, blank=True)
    key = models.CharField(max_length=100)
    name = models.CharField(max_length=200, help_text="The row in words.")
    error = models.CharField(max_length=500)
    count = models.PositiveIntegerField(default=1, help_text="How often in a row.")
    first_at = models.DateTimeField(help_text="Wall time.")
    last_at = models.DateTimeField(help_text="Wall time.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["work", "table", "key"], name="failure_once_per_row")]

    def __str__(self) -> str:
        return f"{self.work}: {self.name}: {self.error}"
