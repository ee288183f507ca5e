"""A training run as a row: what is requested, how far it is, and what became of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from mlmodels.models.registry import ModelVersion


class TrainingRun(models.Model):
    """One attempt to train a model.

    queued → running → succeeded | failed | canceled; queued → canceled. A run whose process was killed ends as
    *failed* with the step it was in, and one that starts anew `follows` it. Only the process that holds the
    advisory lock runs.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELED = "canceled", "Canceled"

    class Trigger(models.TextChoices):
        FIRST = "first", "First model of this market"
        SCHEDULE = "schedule", "Schedule"
        MANUAL = "manual", "By hand"
        SKILL = "skill", "Its skill fell"
        ARTEFACT = "artefact", "The champion can't be loaded"
        RESTART = "restart", "Starts anew after a kill"

    LIVE = (State.QUEUED, State.RUNNING)

    family = models.SlugField(max_length=48)
    timeframe = models.PositiveIntegerField(help_text="Seconds of one bar.")
    simulated = models.BooleanField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    step = models.CharField(max_length=24, blank=True, help_text="pipeline.progress.Step")
    progress = models.FloatField(default=0.0, help_text="Between 0 and 1.")
    log = models.JSONField(default=list, blank=True, help_text="pipeline.report.LogLine: time and sentence.")
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    recipe = models.JSONField(help_text="pipeline.config.Recipe")
    version = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="run"
    )
    verdict = models.CharField(max_length=200, blank=True, help_text="The gate's verdict in a few words.")
    error = models.TextField(blank=True, help_text="What went wrong, what is safe, what to do.")
    follows = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="successor"
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True, help_text="Wall time of the last sign of progress.")
    finished_at = models.DateTimeField(null=True, blank=True)
    host = models.CharField(max_length=100, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    peak_memory = models.BigIntegerField(null=True, blank=True, help_text="Bytes resident, at most.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["family"], condition=Q(state="queued"), name="training_one_waits_per_family"
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0) & Q(progress__lte=1), name="training_progress_is_a_share"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="training_failed_says_why"),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"]) | Q(finished_at__isnull=False),
                name="training_ended_has_an_end",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(state__in=["queued", "running"]), name="training_live"),
            models.Index(fields=["family", "-id"], name="training_of_family"),
        ]

    def __str__(self) -> str:
        return f"Training run {self.pk}"

    @property
    def is_live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in self.LIVE

    @property
    def percent(self) -> int:
        """Progress in whole percent."""
        return int(self.progress * 100)
