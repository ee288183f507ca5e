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
    quick = models.BooleanField(
        default=False, help_text="Few trials: a first look, no evidence whatever it ends with."
    )
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
        return f"Proof {self.pk}: {self.words}"

    @property
    def is_evidence(self) -> bool:
        """Whether it shows what its tests claim: every one holds, on enough trials."""
        return self.state == self.State.PASSED and not self.quick

    @property
    def words(self) -> str:
        """Its state in words; a quick run never reads as a proof."""
        if self.state == self.State.PASSED and self.quick:
            return "Quick look: no test failed, too few trials for evidence"
        return f"Quick look: {self.get_state_display().lower()}" if self.quick else self.get_state_display()
