"""Models in the admin: everything can be read, nothing edited. Champions are changed on the pages of models."""

from typing import Protocol

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest

from algotrendy.admin import LargeTableAdmin, ReadOnlyAdmin
from mlmodels.models import Artefact, ModelVersion, Prediction, Promotion, ProofRun, TrainingRun


@admin.register(ModelVersion)
class ModelVersionAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("name", "family", "state", "origin", "schema", "trained_from", "trained_to", "training_rows")
    list_filter = ("state", "origin", "simulated", "family")
    search_fields = ("name", "family")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        """Return versions without their reports: those are large and shown on the version's own page."""
        return super().get_queryset(request).defer("report", "verdict", "claimed", "recipe", "notes")


class Sized(Protocol):
    """An artefact with the number of its bytes."""

    size: int


@admin.register(Artefact)
class ArtefactAdmin(ReadOnlyAdmin):
    list_display = ("version", "format", "size", "digest_start")
    list_select_related = ("version",)
    search_fields = ("version__name",)
    fields = ("version", "format", "size", "digest_start", "libraries", "golden")
    readonly_fields = ("size", "digest_start")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artefact]:
        """Return artefacts with their size and without their bytes."""
        rows: QuerySet[Artefact] = super().get_queryset(request).defer("data").annotate(size=Length("data"))
        return rows

    @admin.display(description="Bytes")
    def size(self, artefact: Sized) -> str:
        """Return how large the stored model is."""
        return f"{artefact.size:,}"

    @admin.display(description="Digest")
    def digest_start(self, artefact: Artefact) -> str:
        """Return enough of the digest to tell one from another."""
        return f"{bytes(artefact.digest).hex()[:12]}…"


@admin.register(Promotion)
class PromotionAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("id", "at", "family", "version_name", "previous_name", "kind", "by", "reason")
    list_filter = ("kind", "family")
    list_select_related = ("by",)
    search_fields = ("version_name", "reason")


@admin.register(TrainingRun)
class TrainingRunAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("id", "family", "state", "step", "trigger", "by", "version", "verdict", "created_at")
    list_filter = ("state", "trigger", "family")
    list_select_related = ("by", "version")
    search_fields = ("=id", "family", "error")


@admin.register(Prediction)
class PredictionAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("id", "instrument", "open_time", "version", "probability", "side", "label", "void")
    list_filter = ("side", "label", "market")
    list_select_related = ("instrument", "version")
    search_fields = ("=id", "version__name", "instrument__symbol")


@admin.register(ProofRun)
class ProofRunAdmin(LargeTableAdmin, ReadOnlyAdmin):
    list_display = ("id", "started_at", "state", "subject", "simulated", "step", "finished_at")
    list_filter = ("state", "simulated")
