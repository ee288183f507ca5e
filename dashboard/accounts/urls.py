"""Addresses of accounts: allauth's, less what needs e-mail or would let strangers in."""

from django.urls import include, path
from django.views.generic import RedirectView, TemplateView

forgotten = TemplateView.as_view(template_name="account/password_reset.html")

urlpatterns = [
    # The desk sends no e-mail: these would only write letters into the log.
    path("password/reset/", forgotten),
    path("email/", RedirectView.as_view(pattern_name="settings")),
    path("password/set/", RedirectView.as_view(pattern_name="choose_password")),
    path("", include("allauth.urls")),
]
