"""A run of the honesty suite as a row."""

from django.db import models
from django.db.models import Q


class ProofRun(models.Model):
    """One run of `./mem prove`. running → passed | failed (a test did not hold) | error."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PASSED = "passed", "Every test holds"
        FAILED = "failed", "A test does not hold"
        ERROR = "error", "Could not be finished"

    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    subject = models.CharField(max_length=200, help_text="Which candles: real ones with dates, or a simulation.")
    simulated = models.BooleanField()
    progress = models.FloatField(default=0.0, help_text="Between 0 and 1.")
    step = models.CharField(max_length=24, blank=True, help_text="The test that runs now.")
    results = models.JSONField(default=list, blank=True, help_text="pipeline.report.ProofResult, one a test.")
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="running") | Q(finished_at__isnull=False), name="proof_ended_has_an_end"
            ),
        ]

    def __str__(self) -> str:
        return f"Proof {self.pk}: {self.get_state_display()}"
