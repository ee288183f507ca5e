"""Every page's address. Each views module lists its own routes; importing this module registers all fragments."""

from django.urls import URLPattern

from dashboard.views import (
    accounts,
    actions,
    alerts,
    brokers,
    data,
    decisions,
    desk,
    health,
    ml_model_actions,
    ml_models,
    orders,
    settings,
    sources,
    trades,
)

urlpatterns: list[URLPattern] = [
    *desk.urlpatterns,
    *actions.urlpatterns,
    *data.urlpatterns,
    *trades.urlpatterns,
    *orders.urlpatterns,
    *brokers.urlpatterns,
    *alerts.urlpatterns,
    *decisions.urlpatterns,
    *sources.urlpatterns,
    # Before `models`: its page of one version takes any name.
    *ml_model_actions.urlpatterns,
    *ml_models.urlpatterns,
    *health.urlpatterns,
    *settings.urlpatterns,
    *accounts.urlpatterns,
]
