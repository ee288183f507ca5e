"""Health: every part of the desk, whether it works, and what to do where it doesn't."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from algotrendy.permissions import viewer
from dashboard.live import topics
from dashboard.live.fragments import Context, fragment
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
    return {"parts": parts_now, "worst": selectors.worst(parts_now), "troubles": selectors.troubles()}


urlpatterns = [path("health", health, name="health")]
