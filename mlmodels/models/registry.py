"""What a model is, which one is champion, and who decided so on what evidence."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

from market.models import MarketKind

#: A champion older than this has expired: what it learned is no longer the market's.
MAX_CHAMPION_AGE = timedelta(days=90)
#: The note of a version that can't be loaded begins so; mlmodels.inference.champions writes and removes it.
LOAD_ERROR = "It can't speak: "


class ModelVersion(models.Model):
    """One trained or imported model with its report. Its artefact is a row of its own.

    candidate → champion → retired → champion (rolled back to); candidate → rejected; archived (imported, or put
    away by hand). A family has at most one champion. A family is what may replace one another: the same kind of
    label on candles of one timeframe, real or simulated.
    """

    class State(models.TextChoices):
        CANDIDATE = "candidate", "Candidate"
        CHAMPION = "champion", "Champion"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"
        ARCHIVED = "archived", "Archived"

    class Origin(models.TextChoices):
        TRAINED = "trained", "Trained here"
        IMPORTED = "imported", "Imported from 2.5"

    name = models.CharField(max_length=24, unique=True, help_text="UTC: YYYYMMDD_HHMMSS.")
    family = models.SlugField(max_length=48, help_text="reversal-5m-real: what may replace one another.")
    timeframe = models.PositiveIntegerField(help_text="Seconds of one bar.")
    simulated = models.BooleanField(help_text="Trained on a market that is made up.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.CANDIDATE)
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.TRAINED)
    schema = models.CharField(max_length=24, help_text="Name of the feature schema.")
    schema_hash = models.CharField(max_length=64, help_text="SHA-256 of the schema's definition.")
    recipe = models.JSONField(help_text="pipeline.config.Recipe: label, estimator, parameters, seed.")
    threshold = models.FloatField(null=True, blank=True, help_text="Probability above which it says reversal.")
    trained_from = models.DateTimeField(null=True, blank=True, help_text="Market time: open of the first row.")
    trained_to = models.DateTimeField(
        null=True, blank=True, help_text="Market time: nothing later, not even in a label, was seen in training."
    )
    training_rows = models.PositiveIntegerField(null=True, blank=True)
    report = models.JSONField(default=dict, help_text="pipeline.report.Report")
    verdict = models.JSONField(default=dict, blank=True, help_text="pipeline.report.Verdict; empty: never judged.")
    claimed = models.JSONField(default=dict, blank=True, help_text="What an imported folder claims; not ours.")
    notes = models.JSONField(default=list, blank=True, help_text="Sentences a reader should know.")
    created_at = models.DateTimeField(auto_now_add=True)
    promoted_at = models.DateTimeField(null=True, blank=True, help_text="Wall time it last became champion.")

    class Meta:
        ordering = ["-name"]
        constraints = [
            models.UniqueConstraint(
                fields=["family"], condition=Q(state="champion"), name="model_one_champion_per_family"
            ),
            models.CheckConstraint(
                condition=~Q(state="champion") | Q(promoted_at__isnull=False), name="model_champion_was_promoted"
            ),
        ]
        indexes = [models.Index(fields=["family", "-id"], name="model_of_family")]

    def __str__(self) -> str:
        return self.name

    @property
    def market(self) -> str:
        """How real the prices were that it learned from, for the badge beside its name."""
        return MarketKind.SIMULATED.value if self.simulated else "real"

    @property
    def scored_on(self) -> str:
        """What the rows are to it that its report is about; of an imported model nobody knows."""
        return "rows it may have seen" if self.origin == self.Origin.IMPORTED else "unseen rows"

    @property
    def expires_at(self) -> datetime:
        """Wall time at which it expires, should it be champion."""
        return (self.promoted_at or self.created_at) + MAX_CHAMPION_AGE

    @property
    def load_error(self) -> str:
        """Why it can't be loaded, as far as a worker has tried; empty if it can."""
        return next((note.removeprefix(LOAD_ERROR) for note in self.notes if note.startswith(LOAD_ERROR)), "")


class Artefact(models.Model):
    """The bytes of a model and what they must reproduce. Never parsed before its digest was checked."""

    version = models.OneToOneField(
        ModelVersion, on_delete=models.CASCADE, primary_key=True, related_name="artefact"
    )
    format = models.PositiveSmallIntegerField(help_text="Version of the layout of `data`.")
    data = models.BinaryField(help_text="A skops file.")
    digest = models.BinaryField(help_text="HMAC-SHA256 over format and data; its key is outside the database.")
    libraries = models.JSONField(help_text="Versions of Python, scikit-learn, skops and numpy that made it.")
    golden = models.JSONField(help_text="Rows of features and the probabilities that must come out, bit for bit.")

    def __str__(self) -> str:
        return f"Artefact of version {self.version_id}"


class Promotion(models.Model):
    """A change of champion: who or what decided it, why, against whom, and on which rows. Never changed."""

    class Kind(models.TextChoices):
        FIRST = "first", "First model"
        GATE = "gate", "Passed the gate"
        MANUAL = "manual", "By hand"
        ROLLBACK = "rollback", "Rolled back"
        RETIRED = "retired", "Taken out"

    family = models.SlugField(max_length=48)
    version = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="promotions")
    version_name = models.CharField(max_length=24, help_text="Kept when the version is deleted.")
    previous = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="successions"
    )
    previous_name = models.CharField(max_length=24, blank=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    reason = models.CharField(max_length=500)
    verdict = models.JSONField(default=dict, blank=True, help_text="pipeline.report.Verdict with its rows.")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="promotion_has_a_reason"),
        ]
        indexes = [models.Index(fields=["family", "-id"], name="promotion_of_family")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.version_name}"
