"""What only the pages need: whether the demo was already shown, and that the workers live."""

from django.db import models
from django.db.models import Q


class Setup(models.Model):
    """How the desk was first prepared. A demo that was removed never comes back by itself."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    prepared_at = models.DateTimeField(auto_now_add=True)
    demo_created_at = models.DateTimeField(null=True, blank=True)
    demo_removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="setup_is_one")]

    def __str__(self) -> str:
        return f"Prepared {self.prepared_at:%Y-%m-%d %H:%M}"


class Heartbeat(models.Model):
    """When a queue last did the task that beat sends it every few seconds: beat, broker, worker and database."""

    queue = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField(help_text="Wall time.")
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    waited_seconds = models.FloatField(null=True, blank=True, help_text="From beat to the worker.")

    def __str__(self) -> str:
        return f"{self.queue} {self.at:%H:%M:%S}"
