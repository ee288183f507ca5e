"""Which address leads where. Machine doors and accounts here; every page is the dashboard's."""

from django.contrib import admin
from django.urls import include, path

from algotrendy.monitoring import health
from api.routes import api

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("prometheus", health.prometheus, name="prometheus"),
    path("admin/", admin.site.urls),
    path("accounts/", include("dashboard.accounts.urls")),
    path("api/v1/", api.urls),
    path("", include("dashboard.urls")),
]

handler500 = "algotrendy.monitoring.outage.failed"
