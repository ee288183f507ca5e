"""What only the pages need: how the desk was prepared, that the workers live, whether books agree."""

from django.db import models
from django.db.models import Q

from brokers.models import Connection

#: How often beat sends each queue a sign of life (`CELERY_BEAT_SCHEDULE` in the settings).
HEARTBEAT_SECONDS = 10


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


class Reconciliation(models.Model):
    """The last comparison of our books with a venue's. An empty `error` means that the venue could be read."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="reconciliation")
    at = models.DateTimeField(help_text="Wall time.")
    differences = models.JSONField(default=list, help_text="Sentences; empty when both sides agree.")
    error = models.TextField(blank=True)
    verified_at = models.DateTimeField(
        null=True, blank=True, help_text="Wall time at which all history had been compared."
    )

    def __str__(self) -> str:
        return f"{self.connection} {self.at:%Y-%m-%d %H:%M:%S}: {len(self.differences)} differences"


class SentForm(models.Model):
    """A form that was sent (`dashboard.once`). `answer` is sealed with the form's token; None while it acts."""

    digest = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True, help_text="Wall time.")
    answer = models.BinaryField(null=True)

    def __str__(self) -> str:
        return f"{self.digest[:8]} {self.at:%H:%M:%S}"
