"""Every table of the desk can be looked at in the admin; the ledger cannot be edited there."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.templatetags.admin_list import results
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import path

from brokers.ledger import equity, reconcile
from brokers.models import Connection, Desk
from tests.support.brokers import enter, make_connection, make_instrument

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
urlpatterns = [path("admin/", admin.site.urls)]
MODELS = [*apps.get_app_config("brokers").get_models(), *apps.get_app_config("paper").get_models()]


def request_of_root():
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("root")
    return request


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_is_listed_without_a_query_per_row(model, django_assert_max_num_queries):
    connection = make_connection()
    for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT"):
        enter(connection, make_instrument(symbol), stop="95", target="110")
    equity.mark_equity(connection)
    reconcile.differences(connection)
    page, request = admin.site.get_model_admin(model), request_of_root()
    with django_assert_max_num_queries(8):
        rows = list(results(page.changelist_view(request).context_data["cl"]))
    assert rows or model is Desk


@pytest.mark.parametrize("model", [model for model in MODELS if model is not Connection])
def test_the_ledger_can_only_be_looked_at(model):
    page, request = admin.site.get_model_admin(model), request_of_root()
    assert page.has_view_permission(request)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
