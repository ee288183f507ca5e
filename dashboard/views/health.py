"""Health: every part of the desk, whether it works, and what to do where it doesn't."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_safe

from algotrendy.history.changes import note
from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.rows import clear_by_hand
from algotrendy.permissions import person, trader, viewer
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
from dashboard.once import once
from dashboard.selectors import failures
from dashboard.selectors import health as selectors


@require_safe
@viewer
def health(request: HttpRequest) -> HttpResponse:
    """Show the parts of the desk."""
    return render(request, "dashboard/health/page.html")


@fragment(topics.HEALTH, "dashboard/health/region.html")
def parts(key: str) -> Context:
    """All parts and the last errors."""
    parts_now = selectors.parts()
    return {
        "parts": parts_now,
        "worst": selectors.worst(parts_now),
        "failing": failures.failing(),
        "troubles": selectors.troubles(),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@trader
@once
def clear_failure(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what clearing does, then forget the failure of a row until it fails again."""
    failure = RowFailure.objects.filter(pk=pk).first()
    if failure is None:
        messages.info(request, "That is over already: it no longer fails.")
        return redirect("health")
    if request.method != "POST":
        return render(request, "dashboard/confirm/clear_failure.html", {"failure": failure})
    if clear_by_hand(failure.pk):
        note(person(request), failure, f"cleared the failure of {failure.name} in {failure.work}")
        messages.success(request, f"Cleared. {failure.name} is back here if it fails again.")
    return redirect("health")


urlpatterns = [
    path("health", health, name="health"),
    path("health/failures/<int:pk>/clear", clear_failure, name="failure_clear"),
]
