"""A model's prediction for a bar, and whether it came true."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from market.models import Instrument, MarketKind
from mlmodels.models.registry import ModelVersion


class Prediction(models.Model):
    """One bar scored by one version, known from its close on. unlabelled → labelled (true, false) | void.

    `probability` is P(reversal label | the bar is a candidate), 0 with side *none* where the move to the left is
    too small to be reversed. A revised candle never rewrites it.
    """

    class Side(models.TextChoices):
        PEAK = "peak", "Peak: may fall"
        TROUGH = "trough", "Trough: may rise"
        NONE = "none", "No move to reverse"

    instrument = models.ForeignKey(
        Instrument, on_delete=models.CASCADE, related_name="predictions", db_index=False
    )
    timeframe = models.PositiveIntegerField(help_text="Seconds of one bar.")
    open_time = models.DateTimeField(help_text="Market time: open of the bar that was scored.")
    market = models.CharField(max_length=16, choices=MarketKind.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="predictions")
    schema_hash = models.CharField(max_length=64)
    probability = models.FloatField()
    side = models.CharField(max_length=6, choices=Side.choices)
    features = ArrayField(models.FloatField(), help_text="In the order of the schema.")
    made_at = models.DateTimeField(auto_now_add=True, help_text="Wall time.")
    label = models.BooleanField(null=True, blank=True, help_text="Whether it was a reversal; unknown at first.")
    void = models.BooleanField(default=False, help_text="Its label can never be known: candles are missing.")
    labelled_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "timeframe", "open_time", "version"], name="prediction_once"
            ),
            models.CheckConstraint(
                condition=Q(probability__gte=0) & Q(probability__lte=1), name="prediction_is_a_probability"
            ),
            models.CheckConstraint(condition=~Q(side="none") | Q(probability=0), name="prediction_none_is_zero"),
            models.CheckConstraint(
                condition=(Q(label__isnull=True) & Q(void=False)) | Q(labelled_at__isnull=False),
                name="prediction_labelled_has_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["instrument", "timeframe", "open_time"],
                condition=Q(label__isnull=True, void=False),
                name="prediction_unlabelled",
            ),
            models.Index(fields=["version", "open_time"], name="prediction_of_version"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.open_time:%Y-%m-%d %H:%M:%S} {self.probability:.3f} {self.side}"
