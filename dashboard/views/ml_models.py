"""Models: the champions and why, one version with its report, one training run, and the proof of honesty."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from algotrendy.permissions import viewer
from dashboard.live import topics
from dashboard.live.fragments import Context, data, fragment
from dashboard.live.topics import id_of
from dashboard.paging import page_of, requested_page
from dashboard.selectors import chart, ml_models, model_report, predictions
from dashboard.views.data import answer
from mlmodels.models import ModelVersion, TrainingRun
from mlmodels.registry import versions
from mlmodels.training import schedule

NEWEST = 25


@fragment(topics.TRAINING, "fragments/training.html", pause=0.5)
def training_region(key: str) -> Context:
    """The trainings that run or wait, with step, bar and the end of the log."""
    return {"runs": [progress(run) for run in ml_models.live_runs()]}


def progress(run: TrainingRun) -> Context:
    """Return a run with what it does in words."""
    return {"run": run, "doing": ml_models.detail_text(run), "log": ml_models.log_tail(run)}


@fragment(topics.MODELS, "fragments/models.html", pause=2.0)
def models_region(key: str) -> Context:
    """Everything about models but the training's progress."""
    task = schedule.retrain_task()
    return {
        "families": ml_models.family_states(),
        "next_retrain": schedule.next_retrain(),
        "schedule_page": reverse("admin:django_celery_beat_periodictask_change", args=[task.pk]) if task else "",
        "page": page_of(ml_models.all_versions(), size=NEWEST),
        "promotions": ml_models.promotions(),
        "runs": ml_models.runs(),
        "proof": ml_models.last_proof(),
    }


@fragment(topics.DESK_MODELS, "fragments/model_line.html", pause=0.5)
def line_region(key: str) -> Context:
    """One line for the desk: the training in progress, or the champions."""
    return {"line": ml_models.desk_line()}


@fragment(topics.MODEL, "fragments/model.html", pause=2.0)
def model_region(key: str) -> Context | None:
    """What changes about a version: its state, what became of it, and how it does."""
    version = ml_models.version_named(key)
    if version is None:
        return None
    champion = version.state == ModelVersion.State.CHAMPION
    return {
        "version": version,
        "inactive_reason": ml_models.why_inactive(versions.champion_status(version.family)) if champion else "",
        "previous": versions.previous_champion(version.family) if champion else None,
        "promotions": ml_models.promotions(version),
        "run": TrainingRun.objects.filter(version=version).only("id").first(),
        **model_report.live(version),
    }


@fragment(topics.TRAINING_RUN, "fragments/training_run.html", pause=0.5)
def run_region(key: str) -> Context | None:
    """One training with its steps and its log."""
    pk = id_of(key)
    run = ml_models.run_detail(pk) if pk else None
    if run is None:
        return None
    return {
        "run": run,
        "doing": ml_models.detail_text(run),
        "steps": ml_models.steps_of(run),
        "recipe": model_report.recipe(run.recipe),
        "next": getattr(run, "successor", None),
    }


@fragment(topics.PROOF, "fragments/model_proof.html", pause=0.5)
def proof_region(key: str) -> Context:
    """The newest run of the honesty suite, and the earlier ones."""
    proofs = ml_models.proofs()
    return {"proof": proofs[0] if proofs else None, "earlier": proofs[1:]}


@data(topics.PREDICTIONS)
def predictions_data(key: str) -> Context | None:
    """The newest predictions on an open chart; the key is NAME.SYMBOL."""
    name, _, symbol = key.partition(".")
    version, instrument = ml_models.version_named(name), chart.instrument_of(symbol)
    return predictions.drawn(version, instrument, bars=40) if version and instrument else None


@require_safe
@viewer
def models_page(request: HttpRequest) -> HttpResponse:
    """Show all models live, or older versions page by page."""
    older = "before" in request.GET
    page = (
        requested_page(request, ml_models.all_versions(), NEWEST)
        if older
        else page_of(ml_models.all_versions(), size=NEWEST)
    )
    return render(request, "dashboard/models/list.html", {"page": page, "older": older})


@require_safe
@viewer
def model(request: HttpRequest, name: str) -> HttpResponse:
    """Show one version with its report."""
    version = ml_models.version_named(name)
    if version is None:
        raise Http404("There is no such version of a model.")
    instruments = predictions.instruments_of(version)
    symbol = request.GET.get("instrument", "").upper()
    chosen = next((row for row in instruments if row.symbol == symbol), instruments[0] if instruments else None)
    context = {
        "version": version,
        "instruments": instruments,
        "instrument": chosen,
        **model_report.report(version),
    }
    return render(request, "dashboard/models/version.html", context)


@require_safe
@viewer
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one training run."""
    training = TrainingRun.objects.defer("log", "recipe").filter(pk=pk).first()
    if training is None:
        raise Http404("There is no such training run.")
    return render(request, "dashboard/models/run.html", {"run": training})


@require_safe
@viewer
def proof(request: HttpRequest) -> HttpResponse:
    """Show whether the desk's honesty was proved on its own candles."""
    return render(request, "dashboard/models/proof.html")


@answer
def predictions_json(request: HttpRequest) -> dict[str, object]:
    """Candles of `symbol` and the predictions of `version`."""
    version = ml_models.version_named(request.GET.get("version", "")[:24])
    instrument = chart.instrument_of(request.GET.get("symbol", ""))
    if version is None or instrument is None:
        raise LookupError("there is no such version" if version is None else "there is no such instrument")
    return predictions.drawn(version, instrument)


urlpatterns = [
    path("models", models_page, name="models"),
    path("models/runs/<int:pk>", run, name="model_run"),
    path("models/proof", proof, name="model_proof"),
    path("models/<slug:name>", model, name="model"),
    path("data/predictions", predictions_json, name="data_predictions"),
]
