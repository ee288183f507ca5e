"""What people do about models: train, cancel, promote, roll back, take out. Each says first what will happen."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods

from algotrendy.permissions import admin, password_again, person, trader
from dashboard import ml_model_forms as forms
from dashboard.once import once
from dashboard.selectors import ml_models
from mlmodels.models import ModelVersion, TrainingRun
from mlmodels.registry import versions
from mlmodels.training import runs

READ_AND_POST = ["GET", "HEAD", "POST"]


@require_http_methods(READ_AND_POST)
@trader
@once
def train(request: HttpRequest) -> HttpResponse:
    """Ask which label and estimator, then have a model trained."""
    form = forms.TrainForm(request.POST or None, initial={"family": request.GET.get("family", "")})
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "dashboard/models/train.html", {"form": form}, status=status)
    try:
        key, recipe = form.recipe()
        wanted = runs.request(
            family_key=key, trigger=TrainingRun.Trigger.MANUAL, by=person(request), recipe=recipe
        )
    except runs.AlreadyWaiting as waiting:
        messages.info(request, "A training of this family waits already: nothing was added.")
        return redirect("model_run", pk=waiting.run.pk)
    messages.success(request, "Queued. It begins as soon as the training worker is free.")
    return redirect("model_run", pk=wanted.pk)


@require_http_methods(READ_AND_POST)
@trader
@once
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what cancelling does, then cancel a training."""
    run = ml_models.run_detail(pk)
    if run is None:
        raise Http404("There is no such training run.")
    if request.method != "POST":
        return render(request, "dashboard/models/cancel.html", {"run": run})
    if runs.cancel(run, person(request)):
        messages.success(request, "Cancelled. A running training stops at its next step.")
    else:
        messages.info(request, f"Training #{pk} had ended: {run.get_state_display().lower()}.")
    return redirect("model_run", pk=pk)


def _version(name: str) -> ModelVersion:
    version = ml_models.version_named(name)
    if version is None:
        raise Http404("There is no such version of a model.")
    return version


def _ask(
    request: HttpRequest,
    template: str,
    version: ModelVersion,
    act: Callable[[str], object],
    done: str,
    reason: str = "",
    **context: object,
) -> HttpResponse:
    """Ask for a reason, then `act` on it; what the registry refuses is shown and nothing is changed."""
    form = forms.ReasonForm(request.POST or None, initial={"reason": reason})
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, template, {**context, "version": version, "form": form}, status=status)
    try:
        act(form.cleaned_data["reason"])
    except versions.CannotPromote as refusal:
        messages.error(request, f"Nothing was changed: {refusal}.")
    else:
        messages.success(request, done)
    return redirect("model", name=version.name)


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def promote(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, then make a version the champion of its family whatever the gate decided."""
    version = _version(name)
    champion = versions.champion(version.family)
    return _ask(
        request,
        "dashboard/models/promote.html",
        version,
        lambda reason: versions.promote(version=version, by=person(request), reason=reason),
        f"{version.name} speaks from now on.",
        champion=champion,
    )


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def roll_back(request: HttpRequest, family: str) -> HttpResponse:
    """Ask once, then return to the champion before the current one."""
    target = versions.previous_champion(family)
    if target is None:
        messages.error(request, "Nothing was changed: there is no earlier champion to go back to.")
        return redirect("models")
    return _ask(
        request,
        "dashboard/models/roll_back.html",
        target,
        lambda reason: versions.roll_back(family=family, by=person(request), reason=reason),
        f"Rolled back: {target.name} speaks again.",
        reason=f"rolled back by {request.user.get_username()}",
        champion=versions.champion(family),
    )


@require_http_methods(READ_AND_POST)
@admin
@password_again
@once
def retire(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, then retire the champion: none is active until another is promoted."""
    version = _version(name)
    return _ask(
        request,
        "dashboard/models/retire.html",
        version,
        lambda reason: versions.retire(version=version, by=person(request), reason=reason),
        f"{version.name} is taken out: nobody speaks until another model is promoted.",
    )


urlpatterns = [
    path("models/train", train, name="model_train"),
    path("models/runs/<int:pk>/cancel", cancel, name="model_run_cancel"),
    path("models/<slug:name>/promote", promote, name="model_promote"),
    path("models/families/<slug:family>/roll-back", roll_back, name="model_roll_back"),
    path("models/<slug:name>/retire", retire, name="model_retire"),
]
